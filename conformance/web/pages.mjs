// Looks at every page of a running node: axe-core in every language, scheme and width, the browser's
// console, no sideways scrolling, nothing fetched from elsewhere; then walks (walks.mjs).
//
//   node pages.mjs --base http://127.0.0.1:8080 [--operator T] [--steward T] [--researcher T] [--change]
//                  [--sample] [--only WORD] [--languages en,cs,el] [--pictures DIR] [--jobs N]
//
// README.md says what holds. `--change` may publish, withdraw and leave drafts: for a node that is
// thrown away. `--sample` judges one scheme and width of each page and language, all of them in turn.
// Needs Debian's `chromium` and `npm ci` in this folder. Exits with 1 when something does not hold.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { chromium } from 'playwright-core';
import { coverage, inventory, prepare, scenes } from './scenes.mjs';
import { walks } from './walks.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => {
  const place = args.indexOf(`--${name}`);
  return place < 0 ? otherwise : args[place + 1];
};
const has = (name) => args.includes(`--${name}`);
const base = option('base', 'http://127.0.0.1:8080').replace(/\/$/, '');
const tokens = { operator: option('operator', ''), steward: option('steward', ''), researcher: option('researcher', '') };
const only = option('only', '');
const pictures = option('pictures', '');
const languages = option('languages', 'en,cs,el').split(',');
const jobs = Number(option('jobs', availableParallelism()));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];
const WIDTHS = [320, 768, 1440];
const SCHEMES = ['light', 'dark'];
// Every scheme at every width, and once the colours that the reader forces.
const LOOKS = [
  ...SCHEMES.flatMap((scheme) => WIDTHS.map((width) => ({ scheme, width, forced: 'none' }))),
  { scheme: 'light', width: 768, forced: 'active' },
];
// WCAG 1.4.12: nothing may be lost when a reader spaces text like this.
const SPACING = '* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; } p { margin-bottom: 2em !important; }';

const begun = Date.now();
const failures = [];
const known = new Set();
const fail = (where, what) => { failures.push(where); console.log(`FAIL ${where}: ${what}`); };
const visits = [];
const undecided = {};
let judged = 0;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const first = await browser.newPage();
const found = await inventory(first, base, tokens.operator);
await first.close();
if (has('change') && tokens.steward) await prepare(base, tokens.steward, found.datasets[0].split('/').pop());
const all = scenes(found, tokens, has('change'));
const looked = all.filter(({ path }) => !only || path.includes(only));

/** The looks at a page in a language. The sample takes turns: over three languages each page is seen at
 *  every width and in both schemes, and once in forced colours. */
const looksOf = (scene, language) => {
  if (!has('sample')) return LOOKS;
  const turn = scene + language;
  const own = LOOKS.filter((one) => one.forced === 'none' && one.width === WIDTHS[turn % 3] && one.scheme === SCHEMES[turn % 2]);
  return scene % languages.length === language ? [...own, LOOKS.at(-1)] : own;
};
const states = looked.flatMap((scene, place) => {
  const own = scene.deeds.some((deed) => deed.once) ? languages.slice(0, 1) : languages;
  return own.map((language) => ({ scene, language, place }));
});
const total = states.length * LOOKS.length;

/** Who asks, as a browser with its cookie. */
async function contextOf(language, who) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce',
    extraHTTPHeaders: { 'accept-language': language, accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' },
  });
  const token = tokens[who];
  if (token) await context.addCookies([{ name: 'vesalius_token', value: token, url: `${base}/operator` }]);
  return context;
}

/** Opens a scene and does what it says; whether it came to be. */
async function stage(page, { path, status, deeds }, where) {
  let answered = 0;
  page.on('console', (message) => {
    const isStatus = /status of (400|401|403|404|409|410|422)/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !isStatus) fail(where, `console: ${message.text()}`);
  });
  page.on('pageerror', (error) => fail(where, `script: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${base}/`)) fail(where, `asks for ${request.url()}`);
  });
  page.on('response', (response) => {
    if (!response.request().isNavigationRequest()) return;
    answered = response.status();
    const isPage = /^text\/html/.test(response.headers()['content-type'] ?? '') || answered === 303;
    if (isPage) visits.push({ method: response.request().method().toLowerCase(), at: new URL(response.url()).pathname });
    else fail(where, `is ${response.headers()['content-type']}`);
  });
  await page.goto(base + path);
  for (const deed of deeds) {
    if (deed.unfold) await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
    if (deed.fill) for (const place of await page.locator(deed.fill[0]).all()) await place.fill(deed.fill[1]);
    if (deed.choose) await page.selectOption(...deed.choose);
    if (deed.tick) for (const place of await page.locator(deed.tick).all()) await place.check();
    if (deed.hide) await page.evaluate(([name, value]) => document.querySelectorAll(`main input[name="${name}"]`).forEach((i) => { i.value = value; }), deed.hide);
    if ('press' in deed) {
      const button = deed.press
        ? page.locator(`main button[value="${deed.press}"]:visible`).first()
        : page.locator(`${deed.in ?? 'main form'} button[type=submit]:visible`).last();
      await Promise.all([page.waitForNavigation(), button.evaluate((b) => { b.form.noValidate = true; b.click(); })]);
    }
  }
  if (answered !== status) fail(where, `answers ${answered} instead of ${status}`);
}

const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
const unfold = (page, open) => page.evaluate((open) => document.querySelectorAll('details').forEach((d) => {
  d.dataset.was ??= String(d.open);
  d.open = open || d.dataset.was === 'true';
}), open);

/** What does not depend on scheme and width. */
async function content(page, language, where) {
  const said = await page.evaluate(() => document.documentElement.lang);
  if (said !== language) fail(where, `is in ${said}`);
  const scripts = await page.evaluate(() => [...document.scripts].filter((s) => s.type !== 'application/ld+json').length);
  if (scripts > 0) fail(where, `has ${scripts} scripts`);
  const bad = await page.$$eval('script[type="application/ld+json"]', (all) => all.filter((s) => {
    try { return JSON.parse(s.textContent)['@type'] !== 'Dataset'; } catch { return true; }
  }).length);
  if (bad > 0) fail(where, 'its JSON-LD cannot be read');
}

async function judge(page, where) {
  const result = await page.evaluate((runOnly) => window.axe.run(document, { runOnly, resultTypes: ['violations', 'incomplete'] }), RULES);
  for (const violation of result.violations) {
    const node = violation.nodes[0];
    const key = `${violation.id} ${node.html}`;
    const more = known.has(key) ? '' : `\n     ${node.html.slice(0, 200)}\n     ${node.failureSummary.replace(/\n/g, ' ')}`;
    known.add(key);
    fail(where, `axe ${violation.id} (${violation.nodes.length} places)${more}`);
  }
  for (const { id, nodes } of result.incomplete) {
    undecided[id] ??= { places: 0, example: `${where}: ${nodes[0].html.slice(0, 120)}` };
    undecided[id].places += nodes.length;
  }
  judged += 1;
}

async function look({ scene, language, place }) {
  const did = scene.deeds.map((deed) => deed.press ?? Object.keys(deed)[0]).join(' ');
  const name = `${scene.path}${did && ` (${did})`} ${scene.who} ${language}`;
  const context = await contextOf(language, scene.who);
  const page = await context.newPage();
  try {
    await stage(page, scene, name);
    await content(page, language, name);
    // axe needs a script in the page: it runs in the browser's own world, where the policy does not reach.
    await page.evaluate(axe);
    for (const { scheme, width, forced } of looksOf(place, languages.indexOf(language))) {
      const where = `${name} ${width} ${forced === 'active' ? 'forced colours' : scheme}`;
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme, forcedColors: forced });
      await unfold(page, false);
      const wide = await sideways(page);
      if (wide > 0) fail(where, `scrolls sideways by ${wide} px`);
      if (pictures && forced === 'none' && width !== 768) await picture(page, scene.path + did, `${language}-${width}-${scheme}`);
      // What is folded away must be judged too.
      await unfold(page, true);
      const unfolded = await sideways(page);
      if (unfolded > 0) fail(where, `unfolded it scrolls sideways by ${unfolded} px`);
      await judge(page, where);
    }
    await page.setViewportSize({ width: 320, height: 256 });
    await page.evaluate((css) => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      document.adoptedStyleSheets = [sheet];
    }, SPACING);
    const spaced = await sideways(page);
    if (spaced > 0) fail(name, `with spaced text at 320 px it scrolls sideways by ${spaced} px`);
  } catch (error) {
    fail(name, error.message.split('\n')[0]);
  } finally {
    await context.close();
  }
}

async function picture(page, what, look) {
  const name = what.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '').slice(0, 60) || 'home';
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: `${pictures}/${name}-${look}.png`, fullPage: true });
}

// Several pages side by side; the states that take long stand where they stand.
let next = 0;
await Promise.all(Array.from({ length: jobs }, async () => {
  while (next < states.length) {
    const place = next;
    next += 1;
    await look(states[place]);
  }
}));
const axeSeconds = Math.round((Date.now() - begun) / 1000);

const walked = await walks({ browser, base, found, scenes: looked, tokens, contextOf, stage, fail, jobs, sample: has('sample') });
const { rows, missed } = await coverage(base, visits);
const partial = only || !tokens.operator || !tokens.steward || !tokens.researcher || !has('change');
for (const { method, path } of missed) {
  if (partial) console.log(`not visited: ${method} ${path}`);
  else fail(`${method} ${path}`, 'gives HTML and no scene comes by');
}
await browser.close();

const places = Object.entries(undecided).map(([id, { places, example }]) => `${id} ${places} (${example})`);
if (places.length > 0) console.log(`axe could not decide: ${places.join('; ')}`);
console.log(`judged ${judged} of ${total} combinations: ${looked.length} pages × ${languages.length} languages × `
  + `(${SCHEMES.length} schemes × ${WIDTHS.length} widths + forced colours)${has('sample') ? ', one for each page and language' : ''}; `
  + `${rows.length - missed.length} of ${rows.length} routes that give HTML; ${walked.stops} stops of the keyboard on ${walked.pages} pages`);
console.log(JSON.stringify({
  id: 'U1', pages: looked.length, combinations: judged, of: total, routes: rows.length, missed: missed.length,
  ...walked, failures: failures.length, seconds: Math.round((Date.now() - begun) / 1000), axeSeconds,
}));
process.exit(failures.length > 0 ? 1 : 0);
