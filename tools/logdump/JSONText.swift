import CSpringg

/// The inside of a JSON string.
func escaped(_ text: String) -> String {
    let bytes = Array(text.utf8)
    return String(unsafeUninitializedCapacity: bytes.count * 6) { out in
        out.withMemoryRebound(to: CChar.self) { out in
            guard let start = out.baseAddress else { return 0 }
            return springg_json_escape(bytes, bytes.count, start)
        }
    }
}
