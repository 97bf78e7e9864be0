package import NIOHTTP1

/// What a request asks for, by method and path.
package enum Endpoint: Int, Sendable, Equatable, CaseIterable {
    case health
    case live
    case ready
    case metrics
    case page
    case apiDescription
    case nodeStats
    case events
    case listIndexes
    case createIndex
    case deleteIndex
    case indexStats
    case addVector
    case bulkAdd
    case getVector
    case updateVector
    case deleteVector
    case search
    case searchBatch
    case listMarks
    case setMark
    case internalIndexes
    case clusterStatus
    case joinCluster
    case leaveCluster
    case forgetMember
    case readmit
    case replicate
    case shipLog
    case pullLog
    case snapshot
    case snapshotBlock
    case syncManifest
    case syncBlock
    case digestBuckets
    case digestRows

    /// What a token must allow; nil for what anybody may ask.
    package var scope: ScopeSet? {
        switch self {
        case .health, .live, .ready, .page, .apiDescription: nil
        case .metrics, .nodeStats, .listIndexes, .indexStats, .getVector, .search, .searchBatch: .read
        case .createIndex, .deleteIndex, .addVector, .bulkAdd, .updateVector, .deleteVector: .write
        case .listMarks, .setMark, .events: .admin
        case .internalIndexes, .clusterStatus, .joinCluster, .leaveCluster, .forgetMember, .readmit, .replicate,
            .shipLog, .pullLog, .snapshot, .snapshotBlock, .syncManifest, .syncBlock, .digestBuckets, .digestRows:
            .internal
        }
    }

    /// True when callers on this machine need no token: every runbook and every scraper beside the node asks so.
    var isOpenToLoopback: Bool { self == .clusterStatus || self == .metrics }

    /// True when it is answered before the database is open.
    var answersWhileStarting: Bool { self == .live || self == .ready || self == .page }

    /// True when the body may hold many vectors, so that only `bodyBytesMax` limits it.
    var takesManyVectors: Bool {
        self == .bulkAdd || self == .searchBatch || self == .replicate
    }
}

/// A path that is known, and the parts of it that are names.
package struct Target: Sendable, Equatable {
    package var endpoint: Endpoint
    /// The index's name as it was sent, percent-decoded but not checked.
    package var index: [UInt8] = []
    /// The vector's id or the block's number, likewise.
    package var item: [UInt8] = []

    package init(endpoint: Endpoint, index: [UInt8] = [], item: [UInt8] = []) {
        self.endpoint = endpoint
        self.index = index
        self.item = item
    }
}

/// What the router makes of a method and a path.
package enum Routing: Sendable, Equatable {
    case target(Target)
    case notFound
    /// The path exists with other methods, listed as the Allow header wants them.
    case methodNotAllowed(allow: String)
    /// A percent sign is not followed by two hex digits.
    case malformed
}

/// Finds the endpoint for a request: the whole table of paths, in one place.
///
/// A path is split on "/" first and each part percent-decoded then, so that an id may hold an encoded slash. An empty
/// part matches nothing, hence a trailing slash is not found.
package enum Router {
    /// No path of ours has more parts.
    private static let partsMax = 6

    package static func route(method: HTTPMethod, uri: String) -> Routing {
        guard let parts = self.parts(of: uri) else {
            return .malformed
        }
        guard let candidates = self.candidates(parts) else {
            return .notFound
        }
        for candidate in candidates where candidate.method == method {
            return .target(candidate.target)
        }
        let methods = candidates.map { $0.method.rawValue } + ["OPTIONS"]
        return .methodNotAllowed(allow: methods.joined(separator: ", "))
    }

    /// True for what nodes send each other all the time; a token has to show that it is a node.
    static func isBetweenNodes(_ uri: String) -> Bool {
        uri.hasPrefix("/internal/log") || uri.hasPrefix("/internal/snapshot")
    }

    private typealias Candidate = (method: HTTPMethod, target: Target)

    /// Every method that a path has; nil when there is no such path.
    private static func candidates(_ parts: [[UInt8]]) -> [Candidate]? {
        switch parts.count {
        case 1:
            return rootCandidates(parts[0])
        case 2 where parts[0] == Part.api && parts[1] == Part.health:
            return [(.GET, Target(endpoint: .health))]
        case 2 where parts[0] == Part.api && parts[1] == Part.stats:
            return [(.GET, Target(endpoint: .nodeStats))]
        case 2 where parts[0] == Part.api && parts[1] == Part.events:
            return [(.GET, Target(endpoint: .events))]
        case 2... where parts[0] == Part.api && parts[1] == Part.indexes:
            return indexCandidates(parts)
        case 2 where parts[0] == Part.api && parts[1] == Part.marks:
            return [(.GET, Target(endpoint: .listMarks)), (.POST, Target(endpoint: .setMark))]
        case 2... where parts[0] == Part.internal:
            return internalCandidates(parts)
        default:
            return nil
        }
    }

    /// The methods of paths of one part.
    private static func rootCandidates(_ part: [UInt8]) -> [Candidate]? {
        switch part {
        case Part.live: [(.GET, Target(endpoint: .live))]
        case Part.ready: [(.GET, Target(endpoint: .ready))]
        case Part.metrics: [(.GET, Target(endpoint: .metrics))]
        case Part.apiDescription: [(.GET, Target(endpoint: .apiDescription))]
        case []: [(.GET, Target(endpoint: .page))]
        default: nil
        }
    }

    /// The methods of `/api/indexes` and below.
    private static func indexCandidates(_ parts: [[UInt8]]) -> [Candidate]? {
        guard parts.count > 2 else {
            return [(.GET, Target(endpoint: .listIndexes))]
        }
        let index = parts[2]
        guard !index.isEmpty else {
            return nil
        }
        func target(_ endpoint: Endpoint, item: [UInt8] = []) -> Target {
            Target(endpoint: endpoint, index: index, item: item)
        }
        switch parts.count {
        case 3:
            return [(.POST, target(.createIndex)), (.DELETE, target(.deleteIndex))]
        case 4 where parts[3] == Part.vectors:
            return [(.POST, target(.addVector))]
        case 4 where parts[3] == Part.search:
            return [(.POST, target(.search))]
        case 4 where parts[3] == Part.stats:
            return [(.GET, target(.indexStats))]
        case 5 where parts[3] == Part.search && parts[4] == Part.batch:
            return [(.POST, target(.searchBatch))]
        case 5 where parts[3] == Part.vectors && !parts[4].isEmpty:
            let vector: [Candidate] = [
                (.GET, target(.getVector, item: parts[4])),
                (.PUT, target(.updateVector, item: parts[4])),
                (.DELETE, target(.deleteVector, item: parts[4])),
            ]
            // Only POST means a bulk request: a vector whose id is "bulk" can be read and changed like any other.
            return parts[4] == Part.bulk ? [(.POST, target(.bulkAdd))] + vector : vector
        default:
            return nil
        }
    }

    /// The methods of what lies below `/internal`.
    private static func internalCandidates(_ parts: [[UInt8]]) -> [Candidate]? {
        switch parts.count {
        case 2 where parts[1] == Part.indexes:
            return [(.GET, Target(endpoint: .internalIndexes))]
        case 2 where parts[1] == Part.replicate:
            return [(.POST, Target(endpoint: .replicate))]
        case 2 where parts[1] == Part.log:
            return [(.POST, Target(endpoint: .shipLog))]
        case 3 where parts[1] == Part.log && parts[2] == Part.pull:
            return [(.POST, Target(endpoint: .pullLog))]
        case 2 where parts[1] == Part.snapshot:
            return [(.POST, Target(endpoint: .snapshot))]
        case 3 where parts[1] == Part.snapshot && !parts[2].isEmpty:
            return [(.GET, Target(endpoint: .snapshotBlock, item: parts[2]))]
        case 3 where parts[1] == Part.cluster && parts[2] == Part.status:
            return [(.GET, Target(endpoint: .clusterStatus))]
        case 3 where parts[1] == Part.cluster && parts[2] == Part.join:
            return [(.POST, Target(endpoint: .joinCluster))]
        case 3 where parts[1] == Part.cluster && parts[2] == Part.leave:
            return [(.POST, Target(endpoint: .leaveCluster))]
        case 3 where parts[1] == Part.cluster && parts[2] == Part.forget:
            return [(.POST, Target(endpoint: .forgetMember))]
        case 3 where parts[1] == Part.cluster && parts[2] == Part.readmit:
            return [(.POST, Target(endpoint: .readmit))]
        case 4 where parts[1] == Part.sync && !parts[2].isEmpty && parts[3] == Part.manifest:
            return [(.GET, Target(endpoint: .syncManifest, index: parts[2]))]
        case 5 where parts[1] == Part.sync && !parts[2].isEmpty && parts[3] == Part.block && !parts[4].isEmpty:
            return [(.GET, Target(endpoint: .syncBlock, index: parts[2], item: parts[4]))]
        case 4 where parts[1] == Part.digest && !parts[2].isEmpty && !parts[3].isEmpty:
            return [(.GET, Target(endpoint: .digestBuckets, index: parts[2], item: parts[3]))]
        case 5 where parts[1] == Part.digest && !parts[2].isEmpty && !parts[3].isEmpty && !parts[4].isEmpty:
            return [(.GET, Target(endpoint: .digestRows, index: parts[2], item: parts[3] + [0x2F] + parts[4]))]
        default:
            return nil
        }
    }

    /// Splits a path into its parts and decodes them: an empty list for what is too long or no path at all, nil when it is malformed.
    private static func parts(of uri: String) -> [[UInt8]]? {
        var uri = uri
        return uri.withUTF8 { bytes in
            var path = bytes[...]
            if path.first != slash {
                // The absolute form, which proxies send: `http://host/path`.
                guard let scheme = authorityStart(of: path),
                    let start = path[scheme...].firstIndex(of: slash)
                else {
                    return []
                }
                path = path[start...]
            }
            path = path[..<(path.firstIndex(of: UInt8(ascii: "?")) ?? path.endIndex)]
            var parts: [[UInt8]] = []
            for part in path.dropFirst().split(separator: slash, omittingEmptySubsequences: false) {
                guard parts.count < partsMax else {
                    return []
                }
                guard let decoded = percentDecoded(part) else {
                    return nil
                }
                parts.append(decoded)
            }
            return parts
        }
    }

    private static let slash = UInt8(ascii: "/")

    private static func authorityStart(of uri: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        for scheme in ["http://", "https://"] where uri.starts(with: scheme.utf8) {
            return uri.startIndex + scheme.utf8.count
        }
        return nil
    }

    private static func percentDecoded(_ part: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8]? {
        let percent = UInt8(ascii: "%")
        guard part.contains(percent) else {
            return Array(part)
        }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(part.count)
        var rest = part
        while let byte = rest.popFirst() {
            guard byte == percent else {
                decoded.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue)
            else {
                return nil
            }
            decoded.append(high << 4 | low)
        }
        return decoded
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

/// The fixed parts of our paths.
private enum Part {
    static let api = Array("api".utf8)
    static let live = Array("livez".utf8)
    static let ready = Array("readyz".utf8)
    static let metrics = Array("metrics".utf8)
    static let apiDescription = Array("openapi.json".utf8)
    static let events = Array("events".utf8)
    static let health = Array("health".utf8)
    static let indexes = Array("indexes".utf8)
    static let marks = Array("marks".utf8)
    static let stats = Array("stats".utf8)
    static let vectors = Array("vectors".utf8)
    static let batch = Array("batch".utf8)
    static let bulk = Array("bulk".utf8)
    static let search = Array("search".utf8)
    static let `internal` = Array("internal".utf8)
    static let replicate = Array("replicate".utf8)
    static let log = Array("log".utf8)
    static let pull = Array("pull".utf8)
    static let snapshot = Array("snapshot".utf8)
    static let cluster = Array("cluster".utf8)
    static let status = Array("status".utf8)
    static let join = Array("join".utf8)
    static let leave = Array("leave".utf8)
    static let readmit = Array("readmit".utf8)
    static let forget = Array("forget".utf8)
    static let digest = Array("digest".utf8)
    static let sync = Array("sync".utf8)
    static let manifest = Array("manifest".utf8)
    static let block = Array("block".utf8)
}
