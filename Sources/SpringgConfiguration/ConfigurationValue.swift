/// A type that a setting can have: read from JSON (the file) or from text (environment and flags).
public protocol ConfigurationValue: Sendable, Equatable {
    /// What a value is called in error messages, with its article: `an integer`.
    static var kindName: String { get }
    /// The kind in the table of keys: `integer`.
    static var tableName: String { get }
    /// The value of a JSON value of the right type, or nil when the type is another.
    /// - Throws: `ConfigurationValueError` when the type is right and the content is not.
    init?(json: JSONValue) throws(ConfigurationValueError)
    /// The value that a text stands for.
    /// - Throws: `ConfigurationValueError` with the reason.
    init(text: String) throws(ConfigurationValueError)
    /// The value as the file would hold it.
    var json: JSONValue { get }
    /// The value as a flag would hold it.
    var text: String { get }
}

/// Why a text is no value of a setting's kind.
public struct ConfigurationValueError: Error, Equatable, Sendable {
    /// What follows `invalid KEY: `.
    public let reason: String
}

extension Int: ConfigurationValue {
    /// See the protocol.
    public static var kindName: String { "an integer" }
    /// See the protocol.
    public static var tableName: String { "integer" }

    /// Takes whole numbers only.
    public init?(json: JSONValue) {
        guard case .integer(let value) = json else { return nil }
        self = Int(value)
    }

    /// Takes decimal digits with an optional sign.
    public init(text: String) throws(ConfigurationValueError) {
        guard let value = Int(text) else {
            throw ConfigurationValueError(reason: "\(text) (must be an integer)")
        }
        self = value
    }

    /// See the protocol.
    public var json: JSONValue { .integer(Int64(self)) }
    /// See the protocol.
    public var text: String { String(self) }
}

extension Double: ConfigurationValue {
    /// See the protocol.
    public static var kindName: String { "a number" }
    /// See the protocol.
    public static var tableName: String { "number" }

    /// Takes any number.
    public init?(json: JSONValue) {
        switch json {
        case .integer(let value): self = Double(value)
        case .number(let value): self = value
        default: return nil
        }
    }

    /// Takes a finite decimal number.
    public init(text: String) throws(ConfigurationValueError) {
        guard let value = Double(text), value.isFinite else {
            throw ConfigurationValueError(reason: "\(text) (must be a number)")
        }
        self = value
    }

    /// See the protocol.
    public var json: JSONValue { .number(self) }
    /// See the protocol.
    public var text: String { String(self) }
}

extension Bool: ConfigurationValue {
    /// See the protocol.
    public static var kindName: String { "true or false" }
    /// See the protocol.
    public static var tableName: String { "true/false" }

    /// Takes `true` and `false`, no numbers and no texts.
    public init?(json: JSONValue) {
        guard case .boolean(let value) = json else { return nil }
        self = value
    }

    /// Takes the texts that Go's `strconv.ParseBool` takes.
    public init(text: String) throws(ConfigurationValueError) {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": self = true
        case "0", "f", "F", "false", "FALSE", "False": self = false
        default: throw ConfigurationValueError(reason: "\(text) (must be true or false)")
        }
    }

    /// See the protocol.
    public var json: JSONValue { .boolean(self) }
    /// See the protocol.
    public var text: String { self ? "true" : "false" }
}

extension String: ConfigurationValue {
    /// See the protocol.
    public static var kindName: String { "a text" }
    /// See the protocol.
    public static var tableName: String { "text" }

    /// Takes texts only.
    public init?(json: JSONValue) {
        guard case .string(let value) = json else { return nil }
        self = value
    }

    /// Takes the text as it is.
    public init(text: String) {
        self = text
    }

    /// See the protocol.
    public var json: JSONValue { .string(self) }
    /// See the protocol.
    public var text: String { self }
}

extension GoDuration: ConfigurationValue {
    /// See the protocol.
    public static var kindName: String { "a duration such as \"5m\"" }
    /// See the protocol.
    public static var tableName: String { "duration" }

    /// Takes a text in Go's syntax.
    public init?(json: JSONValue) throws(ConfigurationValueError) {
        guard case .string(let text) = json else { return nil }
        try self.init(text: text)
    }

    /// Takes a text in Go's syntax.
    public init(text: String) throws(ConfigurationValueError) {
        do {
            try self.init(parsing: text)
        } catch {
            throw ConfigurationValueError(reason: error.description)
        }
    }

    /// See the protocol.
    public var json: JSONValue { .string(description) }
    /// See the protocol.
    public var text: String { description }
}
