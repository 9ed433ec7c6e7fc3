// Ways through the pages: by keyboard alone, and without scripts as a researcher and a steward go.

/** Everything that Tab stops at, in its order, and what each stop looks like. */
async function tabs(page, most) {
  const stops = [];
  // An address with a fragment begins there.
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
    window.scrollTo(0, 0);
  });
  for (let count = 0; count < most; count += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate((first) => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      if (first) window.__stops = [];
      const seen = window.__stops;
      const before = seen.at(-1);
      const again = seen.includes(at);
      seen.push(at);
      const style = getComputedStyle(at);
      const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
      const inside = [...at.getClientRects()].find((r) => r.bottom > 0 && r.top < window.innerHeight && r.right > 0 && r.left < window.innerWidth && r.width > 0);
      let covered = false;
      if (inside) {
        const clamp = (value, most) => Math.min(Math.max(value, 1), most - 1);
        // WCAG 2.4.11: some of it must not be hidden by what lies above it.
        const spots = [.5, .1, .9].map((part) => [clamp(inside.left + inside.width * part, window.innerWidth), clamp(inside.top + inside.height / 2, window.innerHeight)]);
        covered = spots.every(([x, y]) => {
          const top = document.elementFromPoint(x, y);
          return top && top !== at && !at.contains(top) && !top.contains(at);
        });
      }
      const radios = at.type === 'radio';
      const isBackwards = before && !radios && (before.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_PRECEDING) !== 0;
      return { html: at.outerHTML.slice(0, 120), name: at.className, again, ring, seen: Boolean(inside), covered, isBackwards: Boolean(isBackwards) };
    }, count === 0);
    if (!stop) return { stops, isWhole: true };
    if (stop.again) return { stops, isWhole: !stops.some((one) => one.again) };
    stops.push(stop);
  }
  return { stops, isWhole: false };
}

/** How many things Tab should reach. */
const reachable = (page) => page.evaluate(() => {
  const groups = new Set();
  return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter((one) => {
    if (one.tabIndex < 0 || one.disabled || one.type === 'hidden' || !one.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true })) return false;
    if (one.tagName === 'INPUT' && one.type === 'radio') {
      const group = `${one.form?.action} ${one.name}`;
      if (groups.has(group)) return false;
      groups.add(group);
    }
    return true;
  }).length;
});

/** By keyboard: the skip link first, then everything, visible, in order, and out again. */
async function keyboard({ contextOf, stage, fail, scenes, jobs, sample }) {
  let stops = 0;
  const sizes = sample ? [[320, 256]] : [[1280, 800], [320, 256]];
  const queue = scenes.filter((scene) => !scene.deeds.some((deed) => deed.once)).flatMap((scene) => sizes.map((size) => ({ scene, size })));
  let next = 0;
  const work = async () => {
    while (next < queue.length) {
      const { scene, size: [width, height] } = queue[next];
      next += 1;
      const where = `${scene.path}${scene.deeds.length > 0 ? ' (after its deeds)' : ''} ${scene.who} by keyboard ${width}×${height}`;
      const context = await contextOf('en', scene.who);
      const page = await context.newPage();
      try {
        await stage(page, scene, where);
        // 1280 px at 400 % (WCAG 1.4.10).
        await page.setViewportSize({ width, height });
        const due = await reachable(page);
        const most = sample ? 60 : due + 5;
        const walked = await tabs(page, most);
        stops += walked.stops.length;
        if (walked.stops[0]?.name !== 'skip') fail(where, 'the first Tab does not reach the skip link');
        for (const stop of walked.stops) {
          if (!stop.ring) fail(where, `the focus does not show on ${stop.html}`);
          if (!stop.seen) fail(where, `the focus is out of sight on ${stop.html}`);
          if (stop.covered) fail(where, `the focus is covered on ${stop.html}`);
          if (stop.isBackwards) fail(where, `the focus goes backwards to ${stop.html}`);
        }
        if (most > due && (!walked.isWhole || walked.stops.length !== due)) fail(where, `Tab reaches ${walked.stops.length} of ${due} controls`);
        await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); document.querySelector('.skip').focus(); });
        await page.keyboard.press('Enter');
        const target = await page.evaluate(() => document.activeElement?.id);
        if (target !== 'main') fail(where, 'the skip link does not lead to the content');
      } catch (error) {
        fail(where, error.message.split('\n')[0]);
      } finally {
        await context.close();
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return stops;
}

/** A browser in which nothing runs. */
async function plain(browser, language, token, base) {
  const context = await browser.newContext({ javaScriptEnabled: false, acceptDownloads: true, extraHTTPHeaders: { 'accept-language': language } });
  if (token) await context.addCookies([{ name: 'vesalius_token', value: token, url: `${base}/operator` }]);
  return { context, page: await context.newPage() };
}

const hits = (page) => page.$$eval('article.hit h3 a', (links) => links.map((a) => new URL(a.href).pathname));
const count = (text) => Number(text.replace(/[^0-9]/g, ''));

/** A researcher without scripts: search, narrow, exclude, share, put aside, compare, cite. */
async function researcher({ browser, base, fail }) {
  const where = 'a researcher without scripts';
  const { context, page } = await plain(browser, 'en', '', base);
  await page.goto(`${base}/catalog`);
  const all = await hits(page);
  if (all.length === 0) { await context.close(); return; }
  await page.fill('input[name=q]', 'a');
  await page.click('form.search .field button');
  if (!page.url().includes('q=a')) fail(where, 'the search form does not send');
  // Each value of each facet leads to as many datasets as it says, with and without.
  await page.goto(`${base}/catalog`);
  const picks = await page.$$eval('.facet li', (rows) => rows.map((row) => ({
    with: row.querySelector('a.pick').getAttribute('href'), without: row.querySelector('a.without').getAttribute('href'), count: row.querySelector('.n').firstChild.textContent,
  })));
  if (picks.length === 0) fail(where, 'there are no facets');
  for (const pick of picks) {
    await page.goto(base + pick.with);
    const found = count(await page.textContent('#found'));
    if (found !== count(pick.count)) fail(where, `${pick.with} says ${pick.count} and finds ${found}`);
    await page.goto(base + pick.without);
    const left = count(await page.textContent('#found'));
    if (left + found !== all.length) fail(where, `${pick.without} finds ${left} of ${all.length}, with it ${found}`);
    // The address alone says what is shown.
    const shared = await hits(page);
    const other = await plain(browser, 'cs', '', base);
    await other.page.goto(page.url());
    const theirs = await hits(other.page);
    if (String(theirs.sort()) !== String(shared.sort())) fail(where, `${pick.without} shows others something else`);
    await other.context.close();
  }
  // Put aside, compare, cite.
  for (const path of all.slice(0, 2)) {
    await page.goto(base + path);
    await page.click('button[value=add]');
  }
  await page.goto(`${base}/cart`);
  const kept = await page.$$eval('article.hit', (rows) => rows.length);
  if (kept !== Math.min(2, all.length)) fail(where, `the cart holds ${kept}`);
  for (const link of await page.$$eval('a[href^="/cart/citations"]', (links) => links.map((a) => a.getAttribute('href')))) {
    const answer = await context.request.get(base + link);
    const text = await answer.text();
    const entries = link.includes('.json') ? JSON.parse(text).length : text.split(link.includes('.bib') ? /^@/m : /^TY {2}- /m).length - 1;
    if (answer.status() !== 200 || entries !== kept) fail(where, `${link} has ${entries} citations`);
  }
  if (kept > 1) {
    await page.click('a.button[href^="/compare"]');
    const columns = await page.$$eval('table.compare thead th', (heads) => heads.length);
    if (columns !== kept + 1) fail(where, `the comparison has ${columns} columns`);
  }
  await context.close();
}

/** A steward without scripts: a fault is named at its field, and nothing that was typed is lost. */
async function steward({ browser, base, tokens, found, fail }) {
  if (!tokens.steward || found.datasets.length === 0) return;
  const where = 'a steward without scripts';
  const { context, page } = await plain(browser, 'en', tokens.steward, base);
  const slug = found.datasets[0].split('/').pop();
  await page.goto(`${base}/operator/catalogue/${slug}/edit`);
  await page.click('form.steward details:has(#f-landing_page-i) > summary');
  await page.fill('#f-landing_page-i', 'nowhere at all');
  await page.click('main button[value=check]:visible >> nth=-1');
  const said = await page.$eval('#f-landing_page-i', (field) => ({
    value: field.value, invalid: field.getAttribute('aria-invalid'), described: (field.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' '),
  }));
  if (said.value !== 'nowhere at all') fail(where, 'what was typed is lost');
  if (said.invalid !== 'true' || !/https?:/.test(said.described)) fail(where, `the finding does not stand at its field: ${JSON.stringify(said)}`);
  await context.close();
}

/** A dataset's page costs little. */
async function weight({ browser, base, found, fail }) {
  const page = await (await browser.newContext()).newPage();
  const bodies = [];
  page.on('response', (response) => { bodies.push(response.body().catch(() => Buffer.alloc(0))); });
  await page.goto(base + (found.datasets[0] ?? '/'), { waitUntil: 'networkidle' });
  const bytes = (await Promise.all(bodies)).reduce((sum, body) => sum + body.length, 0);
  if (bytes > 120_000) fail(found.datasets[0] ?? '/', `weighs ${bytes} bytes before compression`);
  await page.context().close();
  return bytes;
}

export async function walks(all) {
  const stops = await keyboard(all);
  await researcher(all);
  await steward(all);
  return { pages: all.scenes.length, stops, bytes: await weight(all) };
}
