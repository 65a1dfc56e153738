// The version comes first: what the rest imports does not even load on an older Node.
if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`Node 24 is needed, this is ${process.version}; "npm start" brings its own.\n`);
  process.exit(1);
}

const { runCommand } = await import('./run-command.js');
await runCommand(process.argv.slice(2));
export {};
