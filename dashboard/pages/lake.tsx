export function Lake() {
  return <div class="page" />;
}
