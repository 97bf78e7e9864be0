import Foundation
import SpringgCluster

/// What real agents sent, recorded: `Fixtures/memberlist-vectors.json`.
struct Vector: CustomStringConvertible {
    let name: String
    let isStream: Bool
    let bytes: [UInt8]
    let security: WireSecurity
    /// What another decoder made of it.
    let decoded: NSDictionary

    var description: String { name }

    /// A stream of which this is what the dialler sent has its label; the answer has none.
    var isFromDialler: Bool { bytes.first == MessageType.label.rawValue || security.label.isEmpty }

    static func load() throws -> (vectors: [Vector], lzw: [(compressed: [UInt8], plain: [UInt8])]) {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/memberlist-vectors.json")
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
        let vectors = (object?["vectors"] as? [[String: Any]] ?? []).compactMap(Vector.init)
        let lzw = (object?["lzw"] as? [[String: String]] ?? []).map { pair in
            (compressed: bytes(hex: pair["compressed"] ?? ""), plain: bytes(hex: pair["plain"] ?? ""))
        }
        return (vectors, lzw)
    }

    private init?(_ object: [String: Any]) {
        guard let name = object["name"] as? String, let hex = object["hex"] as? String,
            let decoded = object["decoded"] as? NSDictionary
        else { return nil }
        self.name = name
        self.decoded = decoded
        isStream = object["transport"] as? String == "tcp"
        bytes = Self.bytes(hex: hex)
        security = WireSecurity(
            label: Array((object["label"] as? String ?? "").utf8),
            keyring: (object["key"] as? String).flatMap { Keyring([Self.bytes(hex: $0)]) }
        )
    }

    static func bytes(hex: String) -> [UInt8] {
        let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// The messages of the other decoder: of a packet several, of a stream one.
    var decodedMessages: [NSDictionary] {
        isStream ? [decoded] : decoded["messages"] as? [NSDictionary] ?? []
    }
}

/// Messages in the words of the other decoder.
enum Shown {
    static func message(_ message: Message) -> [String: Any] {
        switch message {
        case .ping(let ping):
            shown("ping", ["Node": ping.node, "SeqNo": ping.number].merging(source(ping.source)) { $1 })
        case .indirectPing(let ping):
            shown(
                "indirectPing",
                [
                    "Node": ping.node, "SeqNo": ping.number, "Nack": ping.wantsNack, "Port": ping.target.port,
                    "Target": ping.target.address.description,
                ].merging(source(ping.source)) { $1 }
            )
        case .ack(let number, let payload):
            shown("ackResp", ["SeqNo": number, "Payload": payload.map(text) ?? NSNull()])
        case .nack(let number):
            shown("nackResp", ["SeqNo": number])
        case .suspect(let accusation):
            shown("suspect", fields(accusation))
        case .dead(let accusation):
            shown("dead", fields(accusation))
        case .alive(let alive):
            shown("alive", fields(alive, name: "Node"))
        case .user(let bytes):
            ["type": "user", "payload": text(bytes)]
        case .error(let text):
            shown("err", ["Error": text])
        }
    }

    static func stream(_ message: StreamMessage) -> [String: Any] {
        switch message {
        case .pushPull(let exchange):
            let nodes = exchange.entries.map { entry in
                fields(entry.alive, name: "Name").merging(["State": entry.status.rawValue]) { $1 }
            }
            let header: [String: Any] = [
                "Join": exchange.isJoin, "Nodes": nodes.count, "UserStateLen": exchange.userState.count,
            ]
            return shown("pushPull", ["header": header, "nodes": nodes, "user": text(exchange.userState)])
        case .message(.user(let bytes)):
            return shown("user", ["header": ["UserMsgLen": bytes.count], "user": text(bytes)])
        case .message(let message):
            return self.message(message)
        }
    }

    private static func shown(_ type: String, _ fields: [String: Any]) -> [String: Any] {
        ["type": type, "fields": fields]
    }

    private static func source(_ source: MessageSource?) -> [String: Any] {
        guard let source else { return [:] }
        return [
            "SourceAddr": source.endpoint.address.description, "SourcePort": source.endpoint.port,
            "SourceNode": source.name,
        ]
    }

    private static func fields(_ accusation: Accusation) -> [String: Any] {
        ["Incarnation": accusation.incarnation, "Node": accusation.node, "From": accusation.accuser]
    }

    private static func fields(_ alive: Alive, name: String) -> [String: Any] {
        [
            name: alive.node, "Incarnation": alive.incarnation, "Addr": alive.endpoint.address.description,
            "Port": alive.endpoint.port, "Meta": text(alive.meta),
            "Vsn": alive.versions?.bytes.map { Int($0) } ?? [],
        ]
    }

    /// Text where it can be printed, else hexadecimal digits.
    private static func text(_ bytes: [UInt8]) -> Any {
        if let text = String(validating: bytes, as: UTF8.self), text.unicodeScalars.allSatisfy({ $0.value >= 32 }) {
            return text
        }
        return ["hex": bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()]
    }
}
