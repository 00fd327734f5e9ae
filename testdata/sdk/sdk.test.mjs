// Dapr's SDK for JavaScript, unchanged, against examples/sidecar as a user runs it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { CommunicationProtocolEnum, DaprClient, LogLevel } from "@dapr/dapr";

const root = fileURLToPath(new URL("../..", import.meta.url));
const token = "a-token-of-this-test";
let folder, sidecar, client;

// start runs the sidecar and returns the port it says that it listens on.
async function start() {
  folder = mkdtempSync(join(tmpdir(), "sidecar-"));
  const program = join(folder, "sidecar");
  execFileSync("go", ["build", "-o", program, "./examples/sidecar"], { cwd: root, stdio: "inherit" });
  const { REDIS_HOST, ...env } = process.env;
  sidecar = spawn(program, ["-listen", "127.0.0.1:0"], {
    env: { ...env, DAPR_API_TOKEN: token },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: sidecar.stdout })) {
    const port = line.match(/^listening on http:\/\/127\.0\.0\.1:(\d+)$/)?.[1];
    if (port) return port;
  }
  throw new Error("the sidecar has ended without listening");
}

describe("the SDK's binding client", () => {
  let port;
  before(async () => {
    port = await start();
    client = new DaprClient({
      daprHost: "127.0.0.1",
      daprPort: port,
      daprApiToken: token,
      communicationProtocol: CommunicationProtocolEnum.HTTP,
      logger: { level: LogLevel.Error },
    });
    await client.start();
  });
  after(async () => {
    await client?.stop();
    const ended = new Promise((resolve) => sidecar.once("exit", (code) => resolve(code)));
    sidecar.kill("SIGTERM");
    assert.equal(await ended, 0, "the sidecar stops when it is told to");
    rmSync(folder, { recursive: true });
  });

  const send = (operation, data, metadata) => client.binding.send("store", operation, data, metadata);

  test("create, then get", async () => {
    const values = [{ Hello: "World", list: [1, "<&>", null] }, "text", "", 12.5, true, "\u2028 日本語"];
    for (const [i, value] of values.entries()) {
      assert.equal(await send("create", value, { key: `value ${i}` }), "");
      assert.deepEqual(await send("get", undefined, { key: `value ${i}` }), value);
    }
  });

  test("get of a missing key", async () => {
    assert.equal(await send("get", undefined, { key: "missing" }), "");
  });

  test("get with delete", async () => {
    await send("create", { once: true }, { key: "ticket" });
    assert.deepEqual(await send("get", {}, { key: "ticket", delete: "true" }), { once: true });
    assert.equal(await send("get", {}, { key: "ticket", delete: "true" }), "");
  });

  test("delete", async () => {
    await send("create", "gone", { key: "deleted" });
    assert.equal(await send("delete", undefined, { key: "deleted" }), "");
    assert.equal(await send("get", undefined, { key: "deleted" }), "");
    assert.equal(await send("delete", undefined, { key: "deleted" }), "");
  });

  test("increment", async () => {
    for (let n = 1; n <= 3; n++) assert.equal(await send("increment", undefined, { key: "visits" }), n);
    const counts = await Promise.all(Array.from({ length: 50 }, () => send("increment", undefined, { key: "at once" })));
    assert.deepEqual(counts.sort((a, b) => a - b), Array.from({ length: 50 }, (_, i) => i + 1));
  });

  test("a TTL", { timeout: 60_000 }, async () => {
    await send("create", "lasts", { key: "hour", ttlInSeconds: "3600" });
    await send("create", "short", { key: "brief", ttlInSeconds: "1" });
    while ((await send("get", undefined, { key: "brief" })) !== "");
    assert.equal(await send("get", undefined, { key: "hour" }), "lasts");
  });

  test("errors", async () => {
    const refused = (status, code) => (error) => {
      const { status: got, error_msg } = JSON.parse(error.message);
      assert.equal(got, status);
      assert.equal(JSON.parse(error_msg).errorCode, code);
      return true;
    };
    await assert.rejects(send("get", undefined, {}), refused(400, "ERR_INVOKE_OUTPUT_BINDING"));
    await assert.rejects(send("list", undefined, { key: "k" }), refused(400, "ERR_INVOKE_OUTPUT_BINDING"));
    await assert.rejects(send("create", 1, { key: "k", ttlInSeconds: 60 }), refused(400, "ERR_MALFORMED_REQUEST"));
    await assert.rejects(client.binding.send("nobody", "get", undefined, { key: "k" }), refused(404, "ERR_INVOKE_OUTPUT_BINDING"));
    await assert.rejects(send("create", "x".repeat(5 << 20), { key: "k" }), refused(413, "ERR_MALFORMED_REQUEST"));
  });

  test("health", async () => {
    assert.equal(await client.health.isHealthy(), true);
    const get = async (path) => (await fetch(`http://127.0.0.1:${port}/v1.0/${path}`)).status;
    assert.equal(await get("healthz"), 204);
    assert.equal(await get("metadata"), 401, "the SDK sends its token");
  });
});
