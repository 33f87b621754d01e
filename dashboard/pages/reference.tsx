export function Reference() {
  return <div class="page" />;
}
