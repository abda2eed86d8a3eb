// Plain JavaScript on purpose: an older Node dies on the first TypeScript file before any check written in one could run.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(
    `iommu-lab needs Node 24 or newer, this is ${process.version}. Run it through npm (npm start, npm test), which brings its own Node, or install Node 24.`,
  );
  process.exit(1);
}
