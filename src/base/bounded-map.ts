/** Sets an entry of a map with at most `most` entries; evicts the entry that was set longest ago. */
export function setBounded<K, V>(map: Map<K, V>, most: number, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most) map.delete(oldest as K);
}
