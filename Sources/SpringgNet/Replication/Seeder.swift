import Glibc
package import Logging
package import SpringgArchive
package import SpringgCluster
import SpringgLog

/// Brings a new node the state of a peer when the logs of the others no longer reach back to the beginning.
///
/// Before the database is opened, into an empty directory, by the same code as any restore: a node that is open would
/// have to merge a state for which it has no events, and its own log could no longer explain what it shows.
package struct Seeder {
    private let client: PeerClient
    private let logger: Logger

    /// How long a peer may take to make a snapshot, and the pause between two questions whether it is there.
    private static let snapshotSeconds = 600
    private static let pauseMicroseconds: UInt32 = 250_000
    private static let manifestBytesMax = 64 << 20

    package init(_ access: PeerAccess, logger: Logger) {
        client = PeerClient(access, patienceSeconds: Self.snapshotSeconds)
        self.logger = logger
    }

    /// Restores the state of one of `peers` into `dataPath`, which is empty, if none of them can give all events.
    ///
    /// Blocking. Peers that do not answer are passed over.
    /// - Returns: what was restored; nil when the logs suffice, or nobody has anything.
    /// - Throws: when a snapshot is needed and no peer gave one.
    package func seed(_ dataPath: String, from peers: [PeerAddress]) throws -> RestoreReport? {
        var sources: [(name: String, address: APIAddress)] = []
        for peer in peers {
            guard let address = peer.address, let isOutOfReach = self.isOutOfReach(address) else { continue }
            guard isOutOfReach else { return nil }
            sources.append((peer.name, address))
        }
        var failures: [String] = []
        for (name, address) in sources {
            logger.info("Fetching a snapshot from a peer", metadata: ["peer": "\(name)"])
            do {
                return try restore(dataPath, from: address)
            } catch let failure as PeerFailure {
                failures.append("\(name): \(failure.text)")
            } catch {
                failures.append("\(name): \(error)")
            }
        }
        guard failures.isEmpty else { throw SeedingError(failures: failures) }
        return nil
    }

    /// Whether events are missing in the peer's log; nil when it does not answer.
    private func isOutOfReach(_ address: APIAddress) -> Bool? {
        let nothing = VectorMessage(origin: .none, vector: VersionVector()).encoded
        guard
            let answer = try? client.post(
                "/internal/log/pull",
                to: address,
                nothing,
                answerBytesMax: EventsMessage.bytesMax
            )
        else { return nil }
        return try? answer.withBytes { bytes throws(ReplicationWireError) in
            try EventsMessage(bytes).isOutOfReach
        }
    }

    private func restore(_ dataPath: String, from address: APIAddress) throws -> RestoreReport {
        let store = try PeerStore(client, address, manifest: try manifest(address))
        var source = RestoreSource()
        try source.add(store.location, fileSystem: PosixFileSystem()) { _ in store }
        let prospect = try source.prospect(.latest, excluding: false, wantsHistory: false)
        var generator = SystemRandomNumberGenerator()
        return try Restorer(fileSystem: PosixFileSystem()).restore(
            prospect,
            from: source,
            into: dataPath,
            origin: OriginID(using: &generator)
        )
    }

    private func manifest(_ address: APIAddress) throws(PeerFailure) -> [UInt8] {
        let deadline = time(nil) + Self.snapshotSeconds
        while true {
            let manifest = try client.post(
                "/internal/snapshot",
                to: address,
                [],
                answerBytesMax: Self.manifestBytesMax
            )
            // Empty while it is being made.
            if !manifest.isEmpty { return manifest }
            guard time(nil) < deadline else { throw PeerFailure(text: "its snapshot is not ready") }
            usleep(Self.pauseMicroseconds)
        }
    }
}

/// No peer gave a snapshot to a node that needs one.
struct SeedingError: Error, CustomStringConvertible {
    let failures: [String]

    var description: String {
        "this node is new, its peers no longer have all events in their logs, and none of them gave a snapshot "
            + "(\(failures.joined(separator: "; "))). Start it again once one of them can; its data directory is not used meanwhile."
    }
}
