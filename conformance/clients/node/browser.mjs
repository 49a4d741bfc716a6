// A page in headless Chromium that talks to the URL given; prints what it saw. With `wait` it does
// not close, and waits for the server to do so.
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { chromium } from 'playwright-core';

const [url, mode] = process.argv.slice(2);
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const profile = mkdtempSync(`${tmpdir()}/browser-`);
const context = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium', headless: true, args: flags,
});
const page = await context.newPage();
page.on('console', (message) => (message.type() === 'log' ? console.log : console.error)(message.text()));
// A page from this machine may talk to this machine; a blank one may not.
const site = createServer((_, response) => response.end('<!doctype html><title>test</title>'));
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
await page.goto(`http://127.0.0.1:${site.address().port}/`);
const seen = await page.evaluate(([url, mode]) => new Promise((resolve) => {
  const seen = { messages: [] };
  const large = 'ä'.repeat(1 << 19);
  const ws = new WebSocket(url);
  ws.binaryType = 'arraybuffer';
  ws.onopen = () => {
    seen.extensions = ws.extensions;
    ws.send('grüezi');
    ws.send(new Uint8Array([0, 255, 1]));
    ws.send('{"compress":"me"}'.repeat(100));
    ws.send(large);
    ws.send('');
  };
  ws.onmessage = ({ data }) => {
    seen.messages.push(typeof data === 'string' ? (data === large ? true : data) : [...new Uint8Array(data)]);
    if (seen.messages.length < 5) return;
    if (mode === 'wait') console.log('ready');
    else if (mode === 'empty') ws.close();
    else ws.close(3001, 'bye');
  };
  ws.onclose = ({ code, reason, wasClean }) => resolve({ ...seen, code, reason, wasClean });
}), [url, mode]);
console.log(JSON.stringify(seen));
await context.close();
site.close();
