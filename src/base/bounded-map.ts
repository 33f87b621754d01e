/** Sets an entry of a map that keeps at most so many; the one that was set longest ago makes room. */
export function setBounded<K, V>(map: Map<K, V>, most: number, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most) map.delete(oldest as K);
}
