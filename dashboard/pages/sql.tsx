export function Sql() {
  return <div class="page" />;
}
