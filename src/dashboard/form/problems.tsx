/** What is wrong with a field, a line each, in the server's words or those of who reads it here. */
export function Problems({ of }: { of: readonly string[] }) {
  return (
    <>
      {of.map((message) => (
        <p key={message} class="problem">
          {message}
        </p>
      ))}
    </>
  );
}
