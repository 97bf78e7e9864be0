import NIOHTTP1
import SpringgLog
import SpringgProjections
import Synchronization

/// `/metrics`: everything that can be counted, as Prometheus reads it.
extension Worker {
    /// Indexes that have series of their own: more would make every scrape slow, here and there.
    private static let indexesMax = 1000

    func metricsText() -> Answer {
        var text = MetricsText()
        text.family("springg_build_info", .gauge, "The program; always 1.")
        text.sample("springg_build_info", [("version", context.options.version)], 1)
        writeRequests(to: &text)
        writeLog(to: &text)
        writeIndexes(to: &text)
        writeArchive(to: &text)
        writeCluster(to: &text)
        ProcessMetrics().write(to: &text)
        return Answer(.ok, contentType: .metrics, body: text.body)
    }

    private func writeRequests(to text: inout MetricsText) {
        let workers = context.metrics.all
        guard let first = workers.first else {
            return
        }
        let names = Endpoint.allCases.map { [("method", "\($0.route.method)"), ("route", $0.route.path)] }
        let labels: [[(name: String, value: String)]] = names + [[("method", "other"), ("route", "none")]]
        let requests = "springg_http_requests_total"
        text.family(requests, .counter, "Requests answered, by what they asked for and the status they got.")
        for number in labels.indices {
            for (place, status) in WorkerMetrics.statuses.enumerated() {
                let cell = number * WorkerMetrics.statuses.count + place
                let count = workers.reduce(0) { $0 + $1.answers[cell] }
                if count > 0 {
                    text.sample(requests, labels[number] + [("status", status > 0 ? "\(status)" : "other")], count)
                }
            }
        }
        let durations = "springg_http_request_duration_seconds"
        text.family(durations, .histogram, "Time from the head of a request to its answer, its body's way included.")
        for number in labels.indices {
            var histogram = first.durations.snapshot(number)
            for worker in workers.dropFirst() {
                histogram.merge(worker.durations.snapshot(number))
            }
            if histogram.count > 0 {
                text.histogram(durations, labels[number], histogram, divisor: 1e9)
            }
        }
        if let certificates = context.limits.certificates {
            let handshakes = "springg_tls_handshakes_total"
            text.family(handshakes, .counter, "Handshakes of TLS that have ended, by what came of them.")
            for (place, result) in ["done", "failed"].enumerated() {
                let count = workers.reduce(0) { $0 + $1.handshakes[place] }
                text.sample(handshakes, [("result", result)], count)
            }
            text.single(
                "springg_tls_certificate_expiry_timestamp_seconds",
                .gauge,
                "When the certificate ends.",
                certificates.expires
            )
        }
        text.single(
            "springg_http_connections",
            .gauge,
            "Open connections.",
            workers.reduce(0) { $0 + $1.connections }
        )
        text.single(
            "springg_searches_cancelled_total",
            .counter,
            "Searches that were ended since nobody waited for them any more.",
            context.metrics.cancelledSearches.load(ordering: .relaxed)
        )
        text.single(
            "springg_work_waiting",
            .gauge,
            "Searches and other long work that wait for a thread.",
            context.queue.waiting
        )
        if Stage.isMeasured {
            let stages = "springg_request_cpu_seconds_total"
            text.family(stages, .counter, "Processor time of requests by stage, what the log's thread takes left out.")
            for stage in Stage.allCases {
                text.sample(stages, [("stage", stage.name)], stage.seconds)
            }
        }
        let hits = "springg_limit_hits_total"
        text.family(hits, .counter, "Requests and connections that ran into a limit.")
        for limit in Limit.allCases {
            let refused =
                limit == .connections ? context.metrics.refusedConnections.load(ordering: .relaxed) : 0
            text.sample(
                hits,
                [("limit", limit.name)],
                workers.reduce(refused) { $0 + $1.limits[limit.rawValue] }
            )
        }
    }

    private func writeLog(to text: inout MetricsText) {
        let database = context.database
        let (log, disk, marks) = (database.log, database.disk, database.log.watermarks)
        text.family("springg_log_sync_duration_seconds", .histogram, "Time that the disk took to sync the log.")
        text.histogram("springg_log_sync_duration_seconds", [], log.meter.syncNanoseconds, divisor: 1e9)
        text.family("springg_log_commit_events", .histogram, "Events that one commit wrote.")
        text.histogram("springg_log_commit_events", [], log.meter.eventsPerCommit)
        text.single(
            "springg_log_written_bytes_total",
            .counter,
            "Bytes of the records written to the log.",
            log.meter.bytesCommitted
        )
        text.single("springg_log_size_bytes", .gauge, "Size of the log's segments.", disk.logBytes)
        text.single("springg_log_segments", .gauge, "Segments of the log.", log.segments.count)
        text.single("springg_checkpoint_size_bytes", .gauge, "Size of the checkpoints.", disk.checkpointBytes)
        text.single("springg_disk_limit_bytes", .gauge, "What both may take; 0 = no limit.", disk.limitBytes)
        text.family("springg_log_lsn", .gauge, "Everything up to this LSN is trimmed, checkpointed and so on.")
        for (name, lsn) in [
            ("trimmed", marks.trimmed), ("checkpointed", marks.checkpointed), ("applied", marks.applied),
            ("durable", marks.durable), ("appended", marks.appended),
        ] {
            text.sample("springg_log_lsn", [("mark", name)], Int(clamping: lsn.rawValue))
        }
        let health = database.health
        text.single("springg_writable", .gauge, "1 while writes are taken.", health == .healthy ? 1 : 0)
        text.single("springg_disk_full", .gauge, "1 while writes find no room.", log.full == nil ? 0 : 1)
        if let seconds = database.secondsSinceCheckpoint {
            text.single(
                "springg_checkpoint_age_seconds",
                .gauge,
                "Time since the last checkpoint, or since the start if there was none.",
                seconds
            )
        }
        // 52 bits, as many as a sample holds exactly: nodes with the same events show the same number.
        text.single(
            "springg_state_digest",
            .gauge,
            "Lower 52 bits of the digest of all visible vectors; equal on nodes that hold the same.",
            Int(database.digest.low & (1 << 52 - 1))
        )
    }

    private func writeIndexes(to text: inout MetricsText) {
        let database = context.database
        let (memory, indexes) = (database.memory, database.indexes())
        let stats = indexes.map(\.stats)
        let graphs = stats.reduce(0) { $0 + $1.graphMemoryBytes }
        let rows = stats.reduce(0) { $0 + $1.memoryBytes } - graphs
        text.family("springg_memory_bytes", .gauge, "Memory of the data, by part.")
        text.sample("springg_memory_bytes", [("part", "rows")], rows)
        text.sample("springg_memory_bytes", [("part", "graphs")], graphs)
        // What was deleted and is still being read, and what was not counted at the same moment.
        text.sample("springg_memory_bytes", [("part", "other")], max(0, memory.totalBytes - rows - graphs))
        text.single("springg_memory_limit_bytes", .gauge, "What the data may take; 0 = no limit.", memory.limitBytes)
        let tombstones = database.tombstones
        text.single("springg_tombstones", .gauge, "Deleted ids that are kept.", tombstones.kept)
        text.single("springg_tombstones_dropped_total", .counter, "Deleted ids that were dropped.", tombstones.dropped)
        text.single(
            "springg_events_below_horizon_total",
            .counter,
            "Events of other nodes that were refused, because they are older than deletions that were dropped.",
            tombstones.refused
        )
        text.single("springg_indexes", .gauge, "Indexes.", stats.count)
        let shown = stats.prefix(Self.indexesMax)
        func family(_ name: String, _ help: String, _ value: (IndexStats) -> Double?) {
            text.family(name, .gauge, help)
            for index in shown {
                if let value = value(index) {
                    text.sample(name, [("index", index.name.description)], value)
                }
            }
        }
        family("springg_vectors", "Vectors, by index.") { Double($0.vectorCount) }
        family("springg_vectors_unindexed", "Vectors that searches compare one by one.") { Double($0.unindexed) }
        family("springg_vector_conflicts", "Vectors whose dimensions are not their index's.") { Double($0.conflicts) }
        family("springg_recall_ratio", "Share of the true neighbours that searches find, by the probe.") {
            $0.recall?.recall
        }
        family("springg_recall_samples", "Probes that springg_recall_ratio is made of.") {
            $0.recall.map { Double($0.samples) }
        }
    }
}
