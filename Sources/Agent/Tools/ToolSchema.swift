// Short ways to write the JSON Schemas of tool arguments. Pure.
import TextFormats

enum ToolSchema {
    /// An object schema that allows no other members.
    static func object(_ properties: JSONObject, required: [String] = []) -> JSON {
        [
            "type": "object", "properties": .object(properties), "required": JSON(required),
            "additionalProperties": false,
        ]
    }

    static func text(_ description: String) -> JSON { ["type": "string", "description": .string(description)] }

    static func choice(_ values: [String], _ description: String) -> JSON {
        ["type": "string", "enum": JSON(values), "description": .string(description)]
    }

    static func number(_ description: String, min: Int, max: Int) -> JSON {
        [
            "type": "integer", "description": .string(description), "minimum": JSON(min), "maximum": JSON(max),
        ]
    }

    static func flag(_ description: String) -> JSON { ["type": "boolean", "description": .string(description)] }

    static func texts(_ description: String) -> JSON {
        ["type": "array", "items": ["type": "string"], "description": .string(description)]
    }
}
