/// What an answer says of each vector, beside its id.
struct RowFields: OptionSet {
    let rawValue: UInt8

    static let score = RowFields(rawValue: 1)
    static let vector = RowFields(rawValue: 2)
    static let metadata = RowFields(rawValue: 4)

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// - Parameters:
    ///   - query: `fields` says all; `include_vector` and `include_metadata` say one thing each.
    ///   - usual: What comes when nothing is said.
    /// - Throws: 400 for a name that is none.
    init(_ query: QueryItems, else usual: RowFields) throws(RequestError) {
        var fields = usual
        if let names = query.text("fields") {
            fields = []
            for name in names.split(separator: ",", omittingEmptySubsequences: false) {
                switch name {
                case "id": ()
                case "score": fields.insert(.score)
                case "vector": fields.insert(.vector)
                case "metadata": fields.insert(.metadata)
                default: throw .badRequest("fields must be some of id, score, vector, metadata; got \(name)")
                }
            }
        }
        fields.set(.vector, try query.bool("include_vector"))
        fields.set(.metadata, try query.bool("include_metadata"))
        self = fields
    }

    /// Takes something in or out; nil leaves it as it is.
    mutating func set(_ field: RowFields, _ isWanted: Bool?) {
        switch isWanted {
        case true?: insert(field)
        case false?: remove(field)
        case nil: ()
        }
    }
}
