import SpringgLog

/// What a generation changes of the one before.
extension ArchiveManifest {
    /// A page that is to be stored before the manifest that refers to it.
    package struct NewPage: Sendable {
        package var page: Page
        package var bytes: [UInt8]
    }

    /// The same, its older segments in pages once there are many.
    func paged() -> (manifest: ArchiveManifest, pages: [NewPage]) {
        var manifest = self
        var pages: [NewPage] = []
        while manifest.segments.count > ArchiveManifest.segmentsMax {
            let (page, bytes) = ArchiveManifest.page(
                manifest.pagesMade,
                of: Array(manifest.segments.prefix(ArchiveManifest.pageSegments))
            )
            manifest.segments.removeFirst(ArchiveManifest.pageSegments)
            manifest.pages.append(page)
            manifest.pagesMade += 1
            pages.append(NewPage(page: page, bytes: bytes))
        }
        return (manifest, pages)
    }

    /// Lists snapshots that are not: of a writer who lost a race or was stopped, or made by hand.
    ///
    /// Only those of events that the archive holds; older ones than the oldest only where none is ever forgotten.
    mutating func adopt(_ found: [Snapshot], olderThanAll isOlderWanted: Bool) {
        let known = Set(snapshots.map(\.id))
        let oldest = snapshots.first?.id ?? ""
        let news = found.filter { snapshot in
            !known.contains(snapshot.id) && heads.covers(snapshot.heads) && (isOlderWanted || snapshot.id > oldest)
        }
        snapshots = (snapshots + news).sorted { $0.id < $1.id }
    }

    /// Forgets what no moment from `milliseconds` on needs: the newest snapshot of a moment before it from which segments lead on is the
    /// first that stays, and with it every event that it does not hold.
    package mutating func expire(before milliseconds: UInt64) {
        let isEnough = { [self] (snapshot: Snapshot) in
            snapshot.highestHLC.milliseconds < milliseconds && leads(from: snapshot.heads)
        }
        guard let first = snapshots.lastIndex(where: isEnough) else { return }
        snapshots.removeFirst(first)
        let held = snapshots[0].heads
        pages.removeAll { held.covers($0.heads) }
        segments.removeAll { held[$0.origin].sequence >= $0.last }
    }

    /// Whether every event beyond these heads is in a segment, so that who holds them can be given the rest.
    ///
    /// What pages list is taken for whole: they hold what is far older than a snapshot to begin with.
    func leads(from held: VersionVector) -> Bool {
        var reached = held
        for page in pages {
            for origin in page.heads.origins where page.heads[origin].sequence > reached[origin].sequence {
                reached[origin] = page.heads[origin]
            }
        }
        for segment in segments where segment.last > reached[segment.origin].sequence {
            guard segment.first <= reached[segment.origin].sequence.next else { return false }
            reached[segment.origin] = segment.head
        }
        return heads.origins.allSatisfy { heads[$0].sequence <= reached[$0].sequence }
    }

    /// The same, with heads behind the gaps that a state closes.
    func bridged(_ gaps: [LogLoss.Gap], by state: VersionVector) -> ArchiveManifest {
        var manifest = self
        for gap in gaps where state[gap.origin].sequence >= gap.last { manifest.heads[gap.origin] = state[gap.origin] }
        return manifest
    }
}
