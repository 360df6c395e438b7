// report_pages.mjs CHROMIUM FOLDER: opens every report.html below FOLDER as it is read (light, dark,
// on a phone, printed), and compares its numbers with the lines the run wrote.
import fs from "node:fs";
import path from "node:path";
import {pathToFileURL} from "node:url";
import {chromium} from "playwright-core";

const [executablePath, folder] = process.argv.slice(2);
const ways = {
  light: {colorScheme: "light", viewport: {width: 1100, height: 900}},
  dark: {colorScheme: "dark", viewport: {width: 1100, height: 900}},
  phone: {colorScheme: "light", viewport: {width: 375, height: 700}, isMobile: true},
  print: {colorScheme: "light", viewport: {width: 760, height: 1000}},
};
const failures = [];
const expect = (holds, text) => { if (!holds) failures.push(text); };
const lines = file => fs.readFileSync(file, "utf8").trim().split("\n").map(line => JSON.parse(line));

// The table of epochs against metrics.jsonl: numbers as they are printed, two decimals.
const compareEpochs = (name, head, rows, file) => {
  const epochs = lines(file).filter(line => "epoch" in line);
  expect(rows.length === epochs.length,
         `${name}: expected ${epochs.length} rows of epochs, found ${rows.length}`);
  epochs.forEach((epoch, i) => {
    const wanted = [epoch.clean_accuracy, ...head.slice(3).map(
      text => epoch.certified_accuracy[text.replace("certified at ", "")])];
    const found = (rows[i] ?? []).slice(2).map(parseFloat);
    expect(wanted.length === found.length && wanted.every((w, j) => Math.abs(w - found[j]) <= 0.00501),
           `${name}: epoch ${epoch.epoch}: expected ${wanted}, the page has ${found}`);
  });
};

// The table of estimates of the study of Wasserstein distances against results.jsonl, cell by cell.
const compareEstimates = (name, head, rows, file) => {
  const cells = lines(file);
  const at = head.indexOf("estimate");
  expect(at > 0 && rows.length === cells.length,
         `${name}: expected ${cells.length} rows of estimates, found ${rows.length}`);
  const wanted = cells.map(cell => cell.result.estimate).sort((a, b) => a - b);
  const found = rows.map(row => parseFloat(row[at])).sort((a, b) => a - b);
  expect(wanted.every((w, i) => Math.abs(w - found[i]) <= 0.0000501),
         `${name}: expected the estimates ${wanted}, the page has ${found}`);
};

const cellsOf = table => table.locator("tr").evaluateAll(
  all => all.map(tr => [...tr.cells].map(cell => cell.textContent)));

const open = async (browser, file, way) => {
  const name = `${path.relative(folder, file)} (${way})`;
  const context = await browser.newContext(ways[way]);
  const page = await context.newPage();
  page.on("console", message => expect(message.type() !== "error", `${name}: ${message.text()}`));
  page.on("pageerror", error => failures.push(`${name}: ${error}`));
  page.on("request", request => expect(/^(file|data):/.test(request.url()),
                                       `${name}: expected no request, got ${request.url()}`));
  if (way === "print") await page.emulateMedia({media: "print"});
  await page.goto(pathToFileURL(file).href, {waitUntil: "load"});
  const places = await page.locator(".plot").count();
  const drawn = await page.locator(".plot canvas").count();
  expect(places > 0 && drawn === places, `${name}: expected ${places} plots drawn, found ${drawn}`);
  const over = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(over <= 0, `${name}: expected a page as wide as the window, ${over} pixels wider`);
  const metrics = path.join(path.dirname(file), "metrics.jsonl");
  if (fs.existsSync(metrics)) {
    const [head, ...rows] =
      await cellsOf(page.locator("details", {hasText: "All epochs as a table"}));
    compareEpochs(name, head ?? [], rows, metrics);
  }
  const results = path.join(path.dirname(file), "results.jsonl");
  if (fs.existsSync(results)) {
    const [head, ...rows] = await cellsOf(page.locator("table", {hasText: "estimate"}).first());
    compareEstimates(name, head ?? [], rows, results);
  }
  await context.close();
};

const browser = await chromium.launch({executablePath, args: ["--no-sandbox", "--disable-gpu",
  "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"]});
const files = fs.readdirSync(folder, {recursive: true}).map(file => path.join(folder, file))
  .filter(file => path.basename(file) === "report.html");
expect(files.length > 0, `${folder}: expected a report.html below it`);
for (const file of files) {
  const size = fs.statSync(file).size;
  expect(size < 1e6, `${file}: expected less than 1 MB, got ${size} bytes`);
  for (const way of Object.keys(ways)) await open(browser, file, way);
}
await browser.close();
failures.forEach(failure => console.error(failure));
console.log(`${files.length} reports, ${failures.length} failures`);
process.exit(failures.length > 0 ? 1 : 0);
