// Loads one page in a headless Chromium and prints, as JSON, how each of its
// resources came. Usage: node load.mjs URL CHROMIUM.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [url, executablePath] = process.argv.slice(2)
const profile = mkdtempSync(join(tmpdir(), 'edge-browser-'))
// Without the background's own requests, which no closed network answers.
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
	'--disable-background-networking', '--disable-component-update', '--disable-sync']

let context
try {
	context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args, ignoreHTTPSErrors: true })
	const page = await context.newPage()
	await page.goto(url, { waitUntil: 'load', timeout: 60_000 })
	await page.waitForFunction(() => window.finished === true, undefined, { timeout: 60_000 })
	const result = await page.evaluate(() => ({
		page: performance.getEntriesByType('navigation').map((e) => e.nextHopProtocol),
		resources: performance.getEntriesByType('resource').map((e) => ({
			path: new URL(e.name).pathname, protocol: e.nextHopProtocol, bytes: e.decodedBodySize,
		})),
		texts: window.texts,
	}))
	console.log(JSON.stringify(result))
} finally {
	await context?.close()
	rmSync(profile, { recursive: true, force: true })
}
