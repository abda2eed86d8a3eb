/** A new session. */
export default function NewPage() {
  return <h1 tabIndex={-1}>New session</h1>;
}
