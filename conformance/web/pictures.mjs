// Draws the README's pictures of a running demo: the catalogue and a dataset, as a reader meets them.
//
//   node pictures.mjs http://127.0.0.1:8080 ../../docs/images
import { chromium } from 'playwright-core';

const [base, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1440, height: 1080 }, extraHTTPHeaders: { 'accept-language': 'en' } });
for (const [name, path, height] of [['catalogue', '/catalog', 1080], ['dataset', '/dataset/breast-screening', 1480]]) {
  await page.setViewportSize({ width: 1440, height });
  await page.goto(base + path);
  await page.screenshot({ path: `${folder}/${name}.png` });
}
await browser.close();
