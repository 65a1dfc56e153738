const oldestMajor = 20;

/** What is wrong with the Node of this machine, given its version ("v20.1.0"); undefined when it will do. */
export const nodeFault = (version) => {
  const major = Number(/^v?(\d+)\./.exec(version)?.[1]);
  if (major >= oldestMajor) return undefined;
  return `Node ${oldestMajor} or newer is needed to install and start, this is ${version}: see https://nodejs.org`;
};
