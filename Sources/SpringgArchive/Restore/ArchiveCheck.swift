import SpringgLog

/// Proves that everything that an archive refers to is there and whole.
package struct ArchiveCheck {
    /// What was looked at, and what is wrong.
    package struct Report: Sendable {
        package fileprivate(set) var segments = 0
        package fileprivate(set) var events: UInt64 = 0
        package fileprivate(set) var snapshots = 0
        package fileprivate(set) var blocks = 0
        package fileprivate(set) var bytes = 0
        /// Each names an object and what is wrong with it.
        package fileprivate(set) var findings: [String] = []
    }

    private let store: any ObjectStore
    private let contents: ArchiveContents
    private let progress: (RestoreProgress) -> Void

    /// Prepares to check what the newest manifest refers to.
    package init(_ store: any ObjectStore, progress: @escaping (RestoreProgress) -> Void = { _ in }) throws {
        guard let contents = try ArchiveContents(of: store) else { throw RestoreError.noSource(store.location) }
        self.store = store
        self.contents = contents
        self.progress = progress
    }

    /// Reads every segment and every block once: hashes, checksums, and the chain of every origin from segment to segment.
    ///
    /// - Throws: what says nothing about the archive, such as a store that cannot be reached.
    package func run() throws -> Report {
        var report = Report()
        var items: [ObjectFetch.Item] = contents.segments.map { contents.item($0.name) }
        let blocks = try snapshotBlocks(&report)
        items += blocks
        report.blocks = blocks.count
        report.bytes = items.reduce(0) { $0 + $1.bytes }
        let scratch = try ScratchDirectory()
        defer { withExtendedLifetime(scratch) {} }
        let fetch = ObjectFetch(items, from: store, into: scratch.path, keeps: false, fileSystem: PosixFileSystem())
        defer { fetch.close() }
        var heads = VersionVector()
        for segment in contents.segments {
            report.segments += 1
            try note(&report) { report in try check(segment, fetch, &heads, &report) }
        }
        for block in blocks {
            try note(&report) { _ in _ = try fetch.take(block.key) }
            progress(RestoreProgress(fetch))
        }
        if report.findings.isEmpty, !contents.canReachNewest {
            report.findings.append("events are missing: no snapshot and no segments lead to the newest state")
        }
        return report
    }

    /// The blocks of all snapshots, of rows and of graphs, each once.
    private func snapshotBlocks(_ report: inout Report) throws -> [ObjectFetch.Item] {
        var seen: Set<ContentHash> = []
        var items: [ObjectFetch.Item] = []
        for snapshot in contents.manifest.snapshots {
            report.snapshots += 1
            try note(&report) { _ in
                for block in try contents.read(snapshot, in: store).objects() where seen.insert(block.hash).inserted {
                    let key = try SnapshotManifest.blockKey(block.hash)
                    items.append(.init(key: key, bytes: block.bytes, hash: block.hash))
                }
            }
        }
        return items
    }

    private func check(
        _ segment: SegmentFacts,
        _ fetch: ObjectFetch,
        _ heads: inout VersionVector,
        _ report: inout Report
    ) throws {
        // By itself, so that damage to it is not taken for damage to the next.
        var merge = ArchiveMerge([segment], through: fetch)
        try merge.forEach { record in
            let envelope = record.envelope
            let head = heads[envelope.origin]
            let continues =
                envelope.sequence == head.sequence.next && envelope.chain == envelope.expectedChain(after: head.chain)
            // Behind events that are in snapshots only there is nothing to be compared.
            guard continues || envelope.sequence > head.sequence.next else {
                throw ObjectStoreError.damaged(
                    at: segment.name,
                    "event \(envelope.origin):\(envelope.sequence) does not continue the history that ends with \(head.sequence)"
                )
            }
            heads[envelope.origin] = .init(sequence: envelope.sequence, chain: envelope.chain)
            report.events += 1
            if report.events % 4096 == 0 { progress(RestoreProgress(fetch)) }
            return true
        }
    }

    /// Runs a part; what it finds wrong with an object is noted.
    private func note(_ report: inout Report, _ body: (inout Report) throws -> Void) throws {
        do {
            try body(&report)
        } catch let error as ObjectStoreError where error.isOfTheObject {
            report.findings.append("\(error)")
        } catch let error as SnapshotError {
            if case .store(let cause) = error, !cause.isOfTheObject { throw error }
            report.findings.append("\(error)")
        }
    }
}
