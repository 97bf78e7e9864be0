/// How settings are shown: in force (text and JSON) and as a reference (Markdown).
extension Configuration {
    /// What stands for a secret that is set.
    public static let mask = "********"

    /// One line a setting: key, value, source; secrets masked.
    public func report() -> String {
        let rows = Keys.all.map { key in
            let setting = setting(of: key)
            return [key.name, shownText(of: setting.value, isSecret: key.isSecret), "\(setting.source.word)"]
        }
        let keyWidth = rows.map { $0[0].count }.max() ?? 0
        let valueWidth = rows.map { $0[1].count }.max() ?? 0
        let heading = "# file: \(file ?? "none found")\n"
        return heading
            + rows.map { row in
                padded(row[0], to: keyWidth) + "  " + padded(row[1], to: valueWidth) + "  " + row[2] + "\n"
            }.joined()
    }

    /// The same as one JSON object: key → {value, source}; secrets masked.
    public func reportJSON() -> String {
        var members: [String: JSONValue] = [:]
        for key in Keys.all {
            let setting = setting(of: key)
            let isMasked = key.isSecret && setting.value.text != ""
            members[key.name] = .object([
                "value": isMasked ? .string(Configuration.mask) : setting.value.json,
                "source": .string(setting.source.word),
            ])
        }
        return JSONValue.object(["file": file.map(JSONValue.string) ?? .null, "settings": .object(members)])
            .text(indentation: 2) + "\n"
    }

    private func shownText(of value: any ConfigurationValue, isSecret: Bool) -> String {
        let text = value.text
        if text.isEmpty { return "\"\"" }
        return isSecret ? Configuration.mask : text
    }

    private func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

extension Keys {
    /// The reference of every key as a Markdown table; docs/configuration.md holds it.
    public static func reference() -> String {
        var lines = ["| Key | Kind | Default | Meaning |", "| --- | --- | --- | --- |"]
        for key in all {
            let text = key.defaultValue.text
            lines.append("| `\(key.name)` | \(key.kind) | \(text.isEmpty ? "" : "`\(text)`") | \(key.meaning) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
