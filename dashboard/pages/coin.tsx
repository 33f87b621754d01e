export function Coin() {
  return <div class="page" />;
}
