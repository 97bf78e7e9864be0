package import SpringgLog

/// What one request brings to a peer.
package struct Shipment: Sendable {
    /// The message, ready to be sent.
    package var message: [UInt8]
    /// Events in it.
    package var events: Int
    /// Bytes of those.
    package var bytes: Int
    /// Origins of which the peer lacks something that this log no longer has.
    package var gaps: Set<OriginID>

    /// No events: a question what the peer holds.
    package static func empty(from origin: OriginID) -> Shipment {
        var nothing = EventsMessage.Builder(bytesExpected: 0)
        return Shipment(message: nothing.finish(origin: origin), events: 0, bytes: 0, gaps: [])
    }
}

/// Reads for one peer what it lacks, and goes on where it stopped.
///
/// Not thread-safe.
package final class ShipmentReader {
    private let log: Log
    private var shipper: LogShipper?
    private var origins: Set<OriginID> = []

    package init(_ log: Log) { self.log = log }

    /// Events of `origins` that `held` lacks, about `bytesMax` of them.
    ///
    /// - Throws: `.otherHistory` when the peer holds another event in the place of one of the log; `.corrupt`, `.io`.
    package func read(
        _ origins: Set<OriginID>,
        lacking held: VersionVector,
        bytesMax: Int
    ) throws(LogError) -> Shipment {
        do throws(LogError) {
            return try readOnce(origins, lacking: held, bytesMax: bytesMax)
        } catch {
            shipper = nil
            // Retention was quicker than the reader: what is left begins elsewhere.
            guard case .trimmed = error else { throw error }
            return try readOnce(origins, lacking: held, bytesMax: bytesMax)
        }
    }

    /// Events of all origins that `held` lacks, but for those that have another history there.
    package func readAll(lacking held: VersionVector, bytesMax: Int) throws(LogError) -> Shipment {
        var origins = Set(log.versionVector.origins)
        while true {
            do throws(LogError) {
                return try read(origins, lacking: held, bytesMax: bytesMax)
            } catch .otherHistory(let origin, _) where origins.remove(origin) != nil {
                // One that cannot go there is no reason for the others not to.
            } catch {
                throw error
            }
        }
    }

    private func readOnce(
        _ origins: Set<OriginID>,
        lacking held: VersionVector,
        bytesMax: Int
    ) throws(LogError) -> Shipment {
        let shipper = shipper(for: origins, lacking: held)
        var builder = EventsMessage.Builder(bytesExpected: min(bytesMax, 1 << 20))
        var isCaughtUp = false
        while builder.eventBytes < bytesMax, !isCaughtUp {
            let batch = try shipper.next(bytesMax: bytesMax - builder.eventBytes) { record in
                if origins.contains(record.envelope.origin) { builder.append(record.envelope) }
            }
            isCaughtUp = batch.isCaughtUp
        }
        let gaps = Set(shipper.gaps.map(\.origin)).filter { origins.contains($0) }
        return Shipment(
            message: builder.finish(origin: log.origin, isOutOfReach: !gaps.isEmpty),
            events: builder.count,
            bytes: builder.eventBytes,
            gaps: gaps
        )
    }

    /// The reader in hand, if it stands where the peer does.
    private func shipper(for origins: Set<OriginID>, lacking held: VersionVector) -> LogShipper {
        if let shipper, self.origins == origins, origins.allSatisfy({ shipper.held[$0] == held[$0] }) {
            return shipper
        }
        var start = held
        // What is not for this peer counts as held, so that nothing is read for its sake.
        let ours = log.versionVector
        for origin in ours.origins where !origins.contains(origin) { start[origin] = ours[origin] }
        let made = LogShipper(log: log, lacking: start)
        shipper = made
        self.origins = origins
        return made
    }
}
