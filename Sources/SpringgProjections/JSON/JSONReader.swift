package import CSpringg

/// Why bytes are not the JSON that was asked for.
package enum JSONError: Error {
    /// Not JSON, or another type than asked for.
    case invalid
    /// A number that the type asked for cannot hold as a finite value.
    case range
}

/// The Swift face of the strict reader in `springg_json.h`.
///
/// A value: a copy remembers a place, so that a caller can go back to it. Whoever makes one keeps the bytes in place
/// while it is used; it holds nothing but pointers into them.
package struct JSONReader {
    private var state = springg_json()

    package init(_ bytes: UnsafeRawBufferPointer) {
        // The C reader takes a start and an end: for no bytes at all any address will do, since none is read.
        springg_json_start(&self.state, bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1), bytes.count)
    }

    /// Bytes consumed; after an error, where it is.
    package var offset: Int { self.state.cursor - self.state.begin }

    package mutating func peek() -> springg_json_kind {
        springg_json_peek(&self.state)
    }

    /// Consumes a null if that is the next value; null means the same as a missing member everywhere.
    package mutating func takeNull() throws(JSONError) -> Bool {
        guard self.peek() == SPRINGG_JSON_NULL else {
            return false
        }
        try self.skip()
        return true
    }

    package mutating func beginObject() throws(JSONError) {
        try Self.check(springg_json_object_begin(&self.state))
    }

    /// Reads the next member's key, nil at the object's end; the value must be consumed before the next call.
    package mutating func nextKey() throws(JSONError) -> JSONKey? {
        var more = false
        var slice = springg_json_slice()
        try Self.check(springg_json_object_next(&self.state, &more, &slice))
        return more ? JSONKey(slice: slice) : nil
    }

    package mutating func beginArray() throws(JSONError) {
        try Self.check(springg_json_array_begin(&self.state))
    }

    /// True when there is another element, which must be consumed before the next call.
    package mutating func nextElement() throws(JSONError) -> Bool {
        var more = false
        try Self.check(springg_json_array_next(&self.state, &more))
        return more
    }

    /// Consumes and validates any value; returns its text within the bytes given at the start.
    @discardableResult
    package mutating func skip() throws(JSONError) -> UnsafeRawBufferPointer {
        var slice = springg_json_slice()
        try Self.check(springg_json_skip(&self.state, &slice))
        return UnsafeRawBufferPointer(start: slice.start, count: slice.length)
    }

    /// Decodes a string into `out` as far as that goes; returns the whole decoded length, which may be more.
    package mutating func string(into out: UnsafeMutableRawBufferPointer) throws(JSONError) -> Int {
        var length = 0
        let start = out.baseAddress?.assumingMemoryBound(to: UInt8.self)
        try Self.check(springg_json_string(&self.state, start, out.count, &length))
        return length
    }

    /// Decodes a string; of a longer one the first `bytesMax` bytes.
    package mutating func text(bytesMax: Int) throws(JSONError) -> String {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        var length = 0
        try Self.check(springg_json_string(&self.state, &bytes, bytesMax, &length))
        return String(decoding: bytes.prefix(length), as: UTF8.self)
    }

    package mutating func integer() throws(JSONError) -> Int {
        var value: Int64 = 0
        try Self.check(springg_json_integer(&self.state, &value))
        return Int(value)
    }

    package mutating func bool() throws(JSONError) -> Bool {
        var value = false
        try Self.check(springg_json_bool(&self.state, &value))
        return value
    }

    package mutating func double() throws(JSONError) -> Double {
        var value = 0.0
        try Self.check(springg_json_double(&self.state, &value))
        return value
    }

    /// Reads an array of numbers into `out` as far as that goes; returns how many there are, which may be more.
    package mutating func floats(into out: UnsafeMutableBufferPointer<Float>) throws(JSONError) -> Int {
        var count = 0
        try Self.check(springg_json_floats(&self.state, out.baseAddress, out.count, &count))
        return count
    }

    /// Succeeds when nothing but white space is left.
    package mutating func finish() throws(JSONError) {
        try Self.check(springg_json_finish(&self.state))
    }

    private static func check(_ status: springg_json_status) throws(JSONError) {
        guard status != SPRINGG_JSON_OK else {
            return
        }
        throw status == SPRINGG_JSON_RANGE ? .range : .invalid
    }
}

/// A member's key as it stands between the quotes, escapes and all.
package struct JSONKey {
    fileprivate let slice: springg_json_slice

    /// The key as it is written.
    package var text: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.slice.start, count: self.slice.length)
    }

    /// True when the key is `name`, whatever the case of its ASCII letters.
    package func isNamed(_ name: StaticString) -> Bool {
        springg_json_key_is(self.slice, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self))
    }

    /// True when the key is written exactly as `name`.
    package func isExactly(_ name: StaticString) -> Bool {
        UnsafeRawBufferPointer(start: self.slice.start, count: self.slice.length)
            .elementsEqual(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }
}
