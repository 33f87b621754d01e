export function Quality() {
  return <div class="page" />;
}
