export function Log() {
  return <div class="page" />;
}
