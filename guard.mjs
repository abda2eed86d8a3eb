// Plain JavaScript on purpose: an older Node dies on the first TypeScript file before any check written in one could run.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(
    `iommu-lab needs Node 24 or newer, this is ${process.version}. Run it through npm (npm start, npm test), which brings its own Node, or install Node 24.`,
  );
  process.exit(1);
}

// Compiled modules are kept. It saves more than time at the start: what strips types detaches a buffer of its own, and in an isolate where
// that has happened V8 asks at each access to a typed array whether its buffer is still there: 10 per cent of a packet.
// Threads have the flags of the command that started the process, but not what it imported later, as the command line does: they find
// it in the environment.
const { enableCompileCache, getCompileCacheDir } = await import('node:module');
const { dirname } = await import('node:path');
enableCompileCache();
const folder = getCompileCacheDir();
if (folder !== undefined) process.env.NODE_COMPILE_CACHE ??= dirname(folder);
