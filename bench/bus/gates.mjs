/** Collects what must hold, prints each with its figure, and knows in the end whether all of it did. */
export const makeGates = () => {
  let missed = 0;
  const say = (held, text) => {
    if (!held) missed += 1;
    console.log(`${held ? 'PASS' : 'FAIL'} ${text}`);
  };
  return {
    atLeast: (what, figure, least) => say(figure >= least, `${what}: ${figure.toFixed(2)}, at least ${least}`),
    atMost: (what, figure, most) => say(figure <= most, `${what}: ${figure.toFixed(2)}, at most ${most}`),
    allHeld: () => missed === 0,
  };
};
