import SpringgConfiguration

/// The members in an answer of `/internal/cluster/status`.
struct ClusterPeers {
    struct Row {
        let name: String
        let address: String
        let port: Int64
        let scheme: String
        let status: String
        let vectors: Int64
        let lag: Int64?
        let lead: Int64?
        let digest: String?
        let breaker: String?
        /// It lacks events that the asked node no longer has in its log.
        let isOutOfReach: Bool
        let archived: String
        /// Indexes of which it shows something else than the asked node, with the buckets; empty while that is not known.
        let differences: [String]

        /// Where its API is.
        var api: String {
            let host = address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
            return scheme == "https" ? "https://" + host : host
        }
    }

    /// The node that answered.
    let asked: String
    let rows: [Row]
    /// What to do about the asked node, when it lacks events that no log of the others has any more.
    let advice: String?

    /// Something that a person has to look at.
    var hasFindings: Bool { advice != nil || rows.contains { $0.digest == "differ" || $0.isOutOfReach } }

    init(_ status: JSONValue) {
        guard case .object(let fields) = status, case .object(let peers)? = fields["peers"] else {
            (asked, rows, advice) = ("", [], nil)
            return
        }
        asked = fields["responding_node"]?.string ?? ""
        advice = fields["advice"]?.string
        rows = peers.sorted { $0.key < $1.key }.compactMap { name, value in
            guard case .object(let peer) = value else { return nil }
            var (breaker, isOutOfReach): (String?, Bool) = (nil, false)
            if case .object(let replication)? = peer["replication"] {
                breaker = replication["breaker"]?.string
                if case .boolean(true)? = replication["out_of_reach"] { isOutOfReach = true }
            }
            return Row(
                name: name,
                address: peer["ip"]?.string ?? "",
                port: peer["api_port"]?.integer ?? 0,
                scheme: peer["api_scheme"]?.string ?? "http",
                status: peer["status"]?.string ?? "",
                vectors: peer["vector_count"]?.integer ?? 0,
                lag: peer["lag_events"]?.integer,
                lead: peer["lead_events"]?.integer,
                digest: peer["digest"]?.string,
                breaker: breaker,
                isOutOfReach: isOutOfReach,
                archived: peer["last_s3_sync"]?.string ?? "",
                differences: Self.differences(peer, name)
            )
        }
    }

    private static func differences(_ peer: [String: JSONValue], _ name: String) -> [String] {
        guard case .array(let places)? = peer["differs_in"] else { return [] }
        var texts = places.compactMap { place -> String? in
            guard let index = place.member("index")?.string else { return nil }
            guard case .array(let buckets)? = place.member("buckets") else {
                let isHere = place.member("only")?.string == "here"
                return isHere ? "\(index) (not on \(name))" : "\(index) (on \(name) only)"
            }
            let numbers = buckets.compactMap { $0.integer.map { "\($0)" } }
            let more = Int(clamping: place.member("buckets_differ")?.integer ?? 0) - numbers.count
            let total = place.member("buckets_of")?.integer ?? 0
            return
                "\(index) (buckets \(numbers.joined(separator: ", "))\(more > 0 ? " and \(more) more" : "") of \(total))"
        }
        let more = Int(clamping: peer["indexes_differ"]?.integer ?? 0) - texts.count
        if more > 0 { texts.append("\(more) more") }
        return texts
    }

    /// A line for each member, in columns.
    var table: String {
        var lines = [["NODE", "API", "STATUS", "VECTORS", "LAG", "LEAD", "DIGEST", "BREAKER", "ARCHIVED"]]
        for row in rows {
            let isAsked = row.name == asked
            lines.append([
                row.name + (isAsked ? " *" : ""), row.port > 0 ? row.api : row.address, row.status, "\(row.vectors)",
                row.lag.map { "\($0)" } ?? "-", row.lead.map { "\($0)" } ?? "-", row.digest ?? "-",
                row.breaker ?? "-", row.archived.hasPrefix("0001-") ? "never" : row.archived,
            ])
        }
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            var text = ""
            for (column, cell) in line.enumerated() {
                text += cell
                if column < line.count - 1 { text += String(repeating: " ", count: widths[column] - cell.count + 2) }
            }
            return text + "\n"
        }.joined()
    }

    /// What is true of the cluster as a whole.
    func summary(_ status: JSONValue) -> String {
        guard case .object(let fields) = status else { return "" }
        var text = "* answered this; \(fields["cluster_size"]?.integer ?? 0) of \(rows.count) are there"
        if let quorum = fields["quorum"]?.integer, let size = fields["quorum_of"]?.integer {
            text += "; a majority is \(quorum) of \(size) members"
        }
        if case .array(let members)? = fields["members"] {
            let away = members.compactMap(\.string).filter { name in !rows.contains { $0.name == name } }
            if !away.isEmpty { text += "\naway: \(away.joined(separator: ", ")) (springg cluster forget NODE)" }
        }
        let lost = rows.filter(\.isOutOfReach).map(\.name)
        if !lost.isEmpty {
            text += "\nout of reach: \(lost.joined(separator: ", ")) (no longer in the log what it lacks: "
            text += "stop it, move its data directory away, start it)"
        }
        for row in rows where row.digest == "differ" {
            text += "\n\(asked) and \(row.name) differ"
            text += row.differences.isEmpty ? "" : " in \(row.differences.joined(separator: ", "))"
            text += ": springg cluster diff \(asked) \(row.name) lists the rows"
        }
        if let advice { text += "\n\(asked): \(advice)" }
        if case .object(let tombstones)? = fields["tombstones"], let refused = tombstones["events_refused"]?.integer,
            refused > 0
        {
            text +=
                "\n\(refused) events of others were refused, as they are older than deletions that were dropped; see the log"
        }
        if let refusal = fields["refuses_writes"]?.string { text += "\n\(asked): \(refusal)" }
        return text + "\n"
    }
}

extension JSONValue {
    /// The text, when it is one.
    var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The integer, when it is one.
    var integer: Int64? { if case .integer(let number) = self { number } else { nil } }
}
