// Looks at every page of a running node: accessibility (axe-core, WCAG 2.0 to 2.2 A and AA and
// best practices), the browser's console (nothing blocked by the content security policy), no
// sideways scrolling, no script needed, nothing fetched from elsewhere; pictures on demand.
//
//   node pages.mjs --base http://127.0.0.1:8080 [--token T] [--steward T] [--pictures DIR] [--languages en,cs,el] [--quick]
//
// Needs Debian's `chromium` and `npm ci` in this folder. `--token` is one of
// `vesalius token --role imaging-it`; without it the operator's pages are seen as refused. `--steward` is
// one of the role `steward`: its pages are looked at too, each as a form shows it after a press of its
// buttons. They make drafts, and leave none.
// Exits with 1 when something does not hold. All data of the demo are synthetic.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const args = process.argv.slice(2);
const option = (name, otherwise) => {
  const place = args.indexOf(`--${name}`);
  return place < 0 ? otherwise : args[place + 1];
};
const base = option('base', 'http://127.0.0.1:8080').replace(/\/$/, '');
const token = option('token', '');
const steward = option('steward', '');
const only = option('only', '');
const pictures = option('pictures', '');
const languages = option('languages', 'en,cs,el').split(',');
const isQuick = args.includes('--quick');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

// The datasets are those that the catalogue lists.
const first = await browser.newPage();
await first.goto(`${base}/catalog`);
const datasets = await first.$$eval('article.hit h3 a', (links) => links.map((a) => new URL(a.href).pathname));
const filter = await first.$$eval('.facet a.pick', (links) => links[0]?.getAttribute('href') ?? '/catalog');
const exclude = await first.$$eval('.facet a.without', (links) => links[0]?.getAttribute('href') ?? '/catalog');
await first.close();

const operator = token
  ? ['/operator', '/operator/sources', '/operator/runs', '/operator/quarantine', '/operator/findings',
    '/operator/findings/body-part-free-text', '/operator/catalogue', '/operator/quarantine?again=3']
  : ['/operator'];
const compared = datasets.slice(0, 3).map((d) => `dataset=${d.split('/').pop()}`).join('&');
const paths0 = ['/', '/catalog', filter, exclude, '/catalog?q=nothing-is-called-like-this', ...datasets,
  ...datasets.slice(0, 1).map((d) => `${d}/label`), '/cart', compared && `/cart?${compared}`, '/compare', compared && `/compare?${compared}`,
  '/sparql', '/nothing-is-here', '/operator/sign-in', ...operator].filter(Boolean);
// The steward's pages: an address, and the buttons that are pressed there.
const slug = datasets[0]?.split('/').pop();
const of = `/operator/catalogue/${slug}`;
const acts = !steward || !slug ? [] : [
  ['/operator/catalogue'], [of], [`${of}/edit`], [`${of}/edit?check`], [`${of}/toml`], [`${of}/review`], [`${of}/preview`],
  [`${of}/preview-rdf`], [`${of}/versions`], [`${of}/versions?published`], [`${of}/withdraw`], ['/operator/new-description'],
  ['/operator/import-description'], ['/operator/bulk-edit'], ['/operator/bulk-edit?done=2'],
  [`${of}/edit`, { fill: ['#f-title input', ''] }, { fill: ['#f-landing_page-i', 'nowhere'] }, { fill: ['#f-description textarea', ''] }, { press: 'check' }],
  [`${of}/edit`, { press: 'add:distribution' }], [`${of}/edit`, { press: 'add:purposes' }], [`${of}/edit`, { press: 'add:creators' }],
  [`${of}/edit`, { press: 'language' }], [`${of}/toml`, { fill: ['#text', 'title.en = "x'] }, { press: 'check' }],
  ['/operator/bulk-edit', { tick: 'input[name=dataset]' }, { press: 'choose' }, { press: 'preview' }],
  ['/operator/import-description', { fill: ['#text', 'x'] }, { press: '' }], ['/operator/new-description', { fill: ['#slug', 'A B'] }, { press: '' }],
];
const paths = [...[...new Set(paths0)].map((path) => [path]), ...acts].filter(([path]) => !only || path.includes(only));
const widths = isQuick ? [320, 1440] : [320, 768, 1440];
const schemes = ['light', 'dark'];
const modes = [...schemes.map((scheme) => ({ scheme, forced: 'none' })), ...(isQuick ? [] : [{ scheme: 'light', forced: 'active' }])];

let states = 0;
let failures = 0;
const fail = (where, what) => { failures += 1; console.log(`FAIL ${where}: ${what}`); };
const seen = new Set();

for (const language of languages) for (const { scheme, forced } of modes) {
  for (const width of widths) {
    // axe needs a script in the page; the content security policy is checked by listening to the
    // console, and scripts of the page itself do not exist.
    const context = await browser.newContext({
      viewport: { width, height: 900 }, colorScheme: scheme, forcedColors: forced, reducedMotion: 'reduce',
      extraHTTPHeaders: { 'accept-language': language, accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' },
    });
    for (const [path, ...deeds] of paths) {
      const page = await context.newPage();
      const who = acts.some((act) => act[0] === path) ? steward : token;
      await context.clearCookies();
      if (who) await context.addCookies([{ name: 'vesalius_token', value: who, url: `${base}/operator` }]);
      const done = deeds.map((deed) => deed.press ?? '').join(' ');
      const where = `${path}${done && ` (${done})`} ${language} ${width} ${scheme}${forced === 'active' ? ' forced-colors' : ''}`;
      page.on('console', (message) => {
        const isStatus = /status of (401|403|404|409|410|422)/.test(message.text());
        if (['error', 'warning'].includes(message.type()) && !isStatus) fail(where, `console: ${message.text()}`);
      });
      page.on('pageerror', (error) => fail(where, `script: ${error.message}`));
      page.on('request', (request) => {
        if (!request.url().startsWith(base)) fail(where, `asks for ${request.url()}`);
      });
      await page.goto(base + path);
      for (const deed of deeds) {
        if (deed.fill) for (const place of await page.locator(deed.fill[0]).all()) await place.fill(deed.fill[1]);
        if (deed.tick) for (const place of await page.locator(deed.tick).all()) await place.check();
        if ('press' in deed) {
          const button = deed.press ? page.locator(`main button[value="${deed.press}"]:visible`).first() : page.locator('main form button[type=submit]').last();
          await Promise.all([page.waitForNavigation(), button.evaluate((b) => { b.form.noValidate = true; b.click(); })]);
        }
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (wide > 0) fail(where, `scrolls sideways by ${wide} px`);
      const said = await page.evaluate(() => document.documentElement.lang);
      if (said !== language) fail(where, `is in ${said}`);
      const scripts = await page.evaluate(() => [...document.scripts].filter((s) => s.type !== 'application/ld+json').length);
      if (scripts > 0) fail(where, `has ${scripts} scripts`);
      const bad = await page.$$eval('script[type="application/ld+json"]', (all) => all.filter((s) => {
        try { return JSON.parse(s.textContent)['@type'] !== 'Dataset'; } catch { return true; }
      }).length);
      if (bad > 0) fail(where, 'its JSON-LD cannot be read');
      // The page's own fallbacks must be judged too: everything that can be unfolded is.
      if (pictures && forced === 'none' && width !== 768) {
        const name = (path + done).replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '').slice(0, 60) || 'home';
        mkdirSync(pictures, { recursive: true });
        await page.screenshot({ path: `${pictures}/${name}-${language}-${width}-${scheme}.png`, fullPage: true });
      }
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      const unfolded = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (unfolded > 0) fail(where, `unfolded it scrolls sideways by ${unfolded} px`);
      // Runs in the browser's own world, where the page's policy does not reach.
      await page.evaluate(axe);
      const result = await page.evaluate((runOnly) => window.axe.run(document, { runOnly, resultTypes: ['violations'] }), tags);
      for (const violation of result.violations) {
        const node = violation.nodes[0];
        const key = `${violation.id} ${node.html}`;
        const more = seen.has(key) ? '' : `\n     ${node.html.slice(0, 200)}\n     ${node.failureSummary.replace(/\n/g, ' ')}`;
        seen.add(key);
        fail(where, `axe ${violation.id} (${violation.nodes.length} places)${more}`);
      }
      states += 1;
      await page.close();
    }
    await context.close();
  }
}

// Keyboard: the first Tab shows the skip link, and it leads to the content.
const page = await browser.newPage();
await page.goto(`${base}/catalog`);
await page.keyboard.press('Tab');
const skip = await page.evaluate(() => document.activeElement?.className);
if (skip !== 'skip') fail('/catalog', 'the first Tab does not reach the skip link');
await page.keyboard.press('Enter');
const target = await page.evaluate(() => document.activeElement?.id);
if (target !== 'main') fail('/catalog', 'the skip link does not lead to the content');

// Without scripts everything that readers do works: search, filter, open, print.
const plain = await browser.newContext({ javaScriptEnabled: false });
const reader = await plain.newPage();
await reader.goto(`${base}/catalog`);
if (datasets.length > 0) {
  await reader.fill('input[name=q]', 'a');
  await reader.click('form.search button');
  if (!reader.url().includes('q=a')) fail('/catalog', 'the search form does not work without scripts');
  await reader.goto(`${base}/catalog`);
  await reader.click('.facet a.pick');
  if (!reader.url().includes('?')) fail('/catalog', 'facets do not work without scripts');
  await reader.goto(base + datasets[0]);
  if (pictures) await reader.pdf({ path: `${pictures}/dataset.pdf`, format: 'A4', tagged: true });
}
const weight = await (await browser.newContext()).newPage();
const bodies = [];
weight.on('response', (response) => { bodies.push(response.body().catch(() => Buffer.alloc(0))); });
await weight.goto(base + (datasets[0] ?? '/'), { waitUntil: 'networkidle' });
const bytes = (await Promise.all(bodies)).reduce((sum, body) => sum + body.length, 0);
if (bytes > 120_000) fail(datasets[0] ?? '/', `weighs ${bytes} bytes before compression`);
await browser.close();
console.log(JSON.stringify({ id: 'U1', pages: paths.length, states, failures, bytes }));
process.exit(failures > 0 ? 1 : 0);
