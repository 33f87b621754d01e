export function Alerts() {
  return <div class="page" />;
}
