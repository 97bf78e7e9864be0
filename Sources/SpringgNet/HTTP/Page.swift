/// The page at `/`: one document without anything from elsewhere, written by hand.
enum Page {
    static let html = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Springg</title>
        <link rel="icon" href="data:,">
        <style>
        :root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #2a9d5a; --bad: #d1495b; --ink: #2b6cb0; }
        * { box-sizing: border-box; }
        body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.2rem; max-width: 72rem; }
        header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; }
        h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
        #state { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
        #token { margin-left: auto; width: 16rem; }
        main { display: grid; gap: 1rem; margin-top: 1rem; grid-template-columns: repeat(auto-fit, minmax(21rem, 1fr)); }
        section { border: 1px solid var(--line); border-radius: .6rem; padding: .9rem; overflow: auto; }
        .wide { grid-column: 1 / -1; }
        dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .9rem; margin: 0; }
        dt { opacity: .7; } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th { text-align: left; font-weight: 500; opacity: .7; } th, td { padding: .15rem .5rem .15rem 0; vertical-align: top; }
        tr + tr td { border-top: 1px solid var(--line); } .number { text-align: right; }
        input, select, textarea, button { font: inherit; padding: .3rem .5rem; border: 1px solid var(--line);
          border-radius: .4rem; background: var(--soft); color: inherit; }
        textarea { width: 100%; font-family: ui-monospace, monospace; font-size: .85rem; }
        button { background: var(--ink); color: #fff; border: 0; cursor: pointer; }
        form { display: flex; gap: .5rem; flex-wrap: wrap; align-items: center; }
        code { font-size: .85rem; overflow-wrap: anywhere; }
        .note { opacity: .7; margin: .4rem 0 0; }
        @media (max-width: 30rem) { #token { margin-left: 0; width: 100%; } main { grid-template-columns: 1fr; } }
        </style>
        </head>
        <body>
        <header>
        <h1>Springg</h1> <span id="state" role="status">…</span> <span id="reason" class="note"></span>
        <input id="token" type="password" placeholder="Token, if one is needed" aria-label="Token" autocomplete="off">
        </header>
        <main>
        <section><h2>Node</h2><dl id="node"></dl></section>
        <section><h2>Log and checkpoint</h2><dl id="log"></dl></section>
        <section><h2>Rates, since the last look</h2><dl id="rates"></dl></section>
        <section class="wide"><h2>Indexes</h2><table><thead><tr><th>Name</th><th class="number">Dimensions</th>
        <th class="number">Vectors</th><th class="number">Not in the graph</th><th class="number">Memory</th>
        <th class="number">Recall</th></tr></thead><tbody id="indexes"></tbody></table></section>
        <section class="wide"><h2>Search</h2>
        <form id="search"><select id="index" aria-label="Index"></select>
        <input id="id" placeholder="Id of a vector to start from" aria-label="Id">
        <label>k <input id="k" type="number" min="1" max="1000" value="10"></label> <button>Search</button>
        <textarea id="vector" rows="3" placeholder="or a vector: [0.1, 0.2, …]" aria-label="Vector"></textarea></form>
        <p id="answer" class="note" role="status"></p>
        <table><thead><tr><th>Id</th><th class="number">Score</th><th>Metadata</th></tr></thead><tbody id="hits"></tbody></table>
        </section>
        <section class="wide"><h2>Newest events</h2><p id="eventnote" class="note"></p><table><thead><tr><th>LSN</th><th>Time</th>
        <th>Event</th><th>Index</th><th>Id</th></tr></thead><tbody id="events"></tbody></table></section>
        </main>
        <script>
        "use strict";
        const find = (id) => document.getElementById(id);
        const token = find("token");
        token.value = sessionStorage.getItem("token") || "";
        token.addEventListener("change", () => { sessionStorage.setItem("token", token.value.trim()); look(); });

        async function ask(path, options = {}) {
          const headers = { ...(options.headers || {}) };
          if (token.value.trim()) headers.Authorization = "Bearer " + token.value.trim();
          const answer = await fetch(path, { ...options, headers });
          const isJSON = (answer.headers.get("Content-Type") || "").startsWith("application/json");
          const body = isJSON ? await answer.json() : await answer.text();
          if (!answer.ok) throw Object.assign(new Error(body.error || body || answer.status), { status: answer.status, body });
          return isJSON ? body.data : body;
        }

        // Everything that is shown is set as text: what is in the database is never taken for markup.
        function cell(text, isNumber) {
          const cell = document.createElement("td");
          cell.textContent = text;
          if (isNumber) cell.className = "number";
          return cell;
        }
        function row(cells) {
          const row = document.createElement("tr");
          row.append(...cells);
          return row;
        }
        function list(id, pairs) {
          find(id).replaceChildren(...pairs.flatMap(([name, value]) => {
            const term = document.createElement("dt"), data = document.createElement("dd");
            term.textContent = name;
            data.textContent = value;
            return [term, data];
          }));
        }
        const number = (value) => Number(value).toLocaleString("en-US", { maximumFractionDigits: 2 });
        function bytes(value) {
          const units = ["B", "KiB", "MiB", "GiB", "TiB"];
          let unit = 0;
          while (value >= 1024 && unit < 4) { value /= 1024; unit += 1; }
          return number(value) + " " + units[unit];
        }

        function samples(text) {
          const found = new Map();
          for (const line of text.split("\n")) {
            if (!line || line[0] === "#") continue;
            const end = line.lastIndexOf(" ");
            found.set(line.slice(0, end), Number(line.slice(end + 1)));
          }
          return found;
        }
        function total(found, name, part = "") {
          let sum = 0;
          for (const [key, value] of found) {
            if ((key === name || key.startsWith(name + "{")) && key.includes(part)) sum += value;
          }
          return sum;
        }
        let last = null;
        function showRates(found) {
          const now = performance.now() / 1000;
          const counted = {
            requests: total(found, "springg_http_requests_total"),
            searches: total(found, "springg_http_requests_total", "/search"),
            events: total(found, "springg_log_commit_events_sum"),
            commits: total(found, "springg_log_commit_events_count"),
            sync: total(found, "springg_log_sync_duration_seconds_sum"),
            syncs: total(found, "springg_log_sync_duration_seconds_count"),
            limits: total(found, "springg_limit_hits_total"),
          };
          if (last) {
            const seconds = now - last.now, since = (name) => counted[name] - last[name];
            const rate = (name) => number(since(name) / seconds) + "/s";
            list("rates", [
              ["Requests", rate("requests")], ["Searches", rate("searches")], ["Events written", rate("events")],
              ["Events a commit", since("commits") ? number(since("events") / since("commits")) : "–"],
              ["Time of a sync", since("syncs") ? number(since("sync") / since("syncs") * 1000) + " ms" : "–"],
              ["Turned away", rate("limits")], ["Connections", number(total(found, "springg_http_connections"))],
            ]);
          } else {
            list("rates", [["", "at the next look"]]);
          }
          last = { ...counted, now };
        }

        async function showHealth() {
          const state = find("state"), reason = find("reason");
          try {
            await ask("/readyz");
            state.textContent = "ready";
            state.className = "good";
            reason.textContent = "";
          } catch (error) {
            state.textContent = error.status === 503 ? "not ready" : "no answer";
            state.className = "bad";
            reason.textContent = error.message;
          }
        }
        async function showNode() {
          const node = await ask("/api/stats"), log = node.log;
          list("node", [
            ["Vectors", number(node.vectors)], ["Indexes", number(node.indexes)],
            ["Memory", bytes(node.memory.bytes) + (node.memory.limit_bytes ? " of " + bytes(node.memory.limit_bytes) : "")],
            ["Digest", node.digest], ["Origin", log.origin],
          ]);
          const found = samples(await ask("/metrics"));
          const age = found.get("springg_checkpoint_age_seconds");
          list("log", [
            ["Log", bytes(node.disk.log_bytes) + ", " + log.segments + " segments"],
            ["Checkpoints", bytes(node.disk.checkpoint_bytes)],
            ["Last checkpoint, or start", age === undefined ? "–" : number(age) + " s ago"],
            ["Events since the checkpoint", number(log.applied_lsn - log.checkpointed_lsn)],
            ["Visible up to LSN", number(log.applied_lsn)], ["Oldest LSN", number(log.first_lsn)],
            ["Room on the disk", node.disk.full ? "none" : "yes"],
          ]);
          showRates(found);
        }
        async function showIndexes() {
          const indexes = (await ask("/api/indexes")).slice(0, 100), chosen = find("index").value;
          const stats = await Promise.all(indexes.map((index) =>
            ask("/api/indexes/" + encodeURIComponent(index.name) + "/stats").catch(() => null)));
          find("indexes").replaceChildren(...stats.filter(Boolean).map((index) => row([
            cell(index.name), cell(number(index.dimensions), true), cell(number(index.count), true),
            cell(number(index.unindexed), true), cell(bytes(index.memory_bytes), true),
            cell(index.recall_probe && index.recall_probe.recall !== null ? index.recall_probe.recall.toFixed(3) : "–", true),
          ])));
          find("index").replaceChildren(...indexes.map((index) => {
            const option = document.createElement("option");
            option.textContent = option.value = index.name;
            option.selected = index.name === chosen;
            return option;
          }));
        }
        async function showEvents() {
          try {
            const events = await ask("/api/events?limit=20");
            find("eventnote").textContent = "";
            find("events").replaceChildren(...events.map((event) => row([
              cell(event.lsn), cell(event.time), cell(event.kind.replace("_", " ")), cell(event.index || event.name || ""),
              cell(event.id === undefined ? "" : event.id),
            ])));
          } catch (error) {
            find("eventnote").textContent = error.status === 403 ? "They need a token with the scope admin." : error.message;
          }
        }

        find("search").addEventListener("submit", async (event) => {
          event.preventDefault();
          const path = "/api/indexes/" + encodeURIComponent(find("index").value);
          const answer = find("answer");
          try {
            let vector;
            if (find("vector").value.trim()) vector = JSON.parse(find("vector").value);
            else vector = (await ask(path + "/vectors/" + encodeURIComponent(find("id").value) + "?fields=vector")).vector;
            const begun = performance.now();
            const hits = await ask(path + "/search", {
              method: "POST", headers: { "Content-Type": "application/json" },
              body: JSON.stringify({ vector, k: Number(find("k").value) }),
            });
            answer.textContent = hits.length + " in " + number(performance.now() - begun) + " ms, the way here included";
            find("hits").replaceChildren(...hits.map((hit) => row([
              cell(hit.id), cell(hit.score.toFixed(4), true), cell(hit.metadata ? JSON.stringify(hit.metadata) : ""),
            ])));
          } catch (error) {
            answer.textContent = error.message;
            find("hits").replaceChildren();
          }
        });

        let isLooking = false;
        async function look() {
          if (isLooking || document.hidden) return;
          isLooking = true;
          await showHealth();
          try {
            await showNode();
            await showIndexes();
            await showEvents();
          } catch (error) {
            find("reason").textContent = error.message;
          }
          isLooking = false;
        }
        look();
        setInterval(look, 3000);
        </script>
        </body>
        </html>

        """#
}
