import process from 'node:process';

/** The other side of `startChild`: calls what is asked for by its name, and ends with its parent. */
export const answering = (questions) => {
  process.on('message', async ({ name, value }) => {
    try {
      process.send({ answer: await questions[name](value) });
    } catch (error) {
      process.send({ fault: error.stack });
    }
  });
  process.on('disconnect', () => process.exit(0));
  process.send({ answer: 'ready' });
};
