package org.example.edgepose

import org.json.JSONArray
import org.json.JSONObject

/** What an integer means: real = (stored - zeroPoint) * scale. */
class Quantization(val scale: Float, val zeroPoint: Int)

/** What the app needs of an artifact's manifest.json; docs/android.md explains every key. */
class Manifest(text: String) {
    val fileName: String
    val sha256: String
    val width: Int
    val height: Int
    val rgb: Boolean
    val mean: List<Float>
    val std: List<Float>
    val inputType: String
    val inputQuantization: Quantization?
    val outputShape: List<Int>
    val decoded: Boolean
    val outputType: String
    val outputQuantization: Quantization?
    val logits: Boolean
    val stride: Int
    val keypoints: List<String>
    val edges: List<Pair<Int, Int>>

    init {
        val root = JSONObject(text)
        val schema = root.getString("schema")
        require(schema in SCHEMAS) { "schema $schema, expected one of $SCHEMAS" }
        val task = root.getString("task")
        require(task == "top_down") { "task $task, expected top_down: one person per input" }
        val file = root.getJSONObject("file")
        require(file.getString("format") == "tflite") { "expected a file in TFLite format" }
        fileName = file.getString("name")
        sha256 = file.getString("sha256")

        val input = root.getJSONObject("input")
        require(input.getString("layout") == "nhwc") { "expected an input with channels last" }
        width = input.getJSONArray("size").getInt(0)
        height = input.getJSONArray("size").getInt(1)
        rgb = input.getString("color") == "rgb"
        mean = input.getJSONArray("mean").floats()
        std = input.getJSONArray("std").floats()
        inputType = input.getString("dtype")
        inputQuantization = input.quantization()

        val output = root.getJSONArray("outputs").getJSONObject(0)
        val layout = output.getString("layout")
        require(layout == "nhwk" || layout == "nkc") { "layout $layout, expected nhwk or nkc" }
        decoded = layout == "nkc"
        outputShape = output.getJSONArray("shape").floats().map { it.toInt() }
        outputType = output.getString("dtype")
        outputQuantization = output.quantization()

        val decoder = root.getJSONObject("decoder")
        logits = decoder.getString("kind") == "logits"
        stride = decoder.getInt("stride")
        val format = root.getJSONObject("keypoint_format")
        keypoints = format.getJSONArray("keypoints").let { n -> List(n.length(), n::getString) }
        edges = format.getJSONArray("edges").let { all ->
            List(all.length()) { all.getJSONArray(it).getInt(0) to all.getJSONArray(it).getInt(1) }
        }
    }

    private companion object {
        val SCHEMAS = listOf("edge_pose.artifact/1", "edge_pose.artifact/2")

        fun JSONArray.floats() = List(length()) { getDouble(it).toFloat() }

        fun JSONObject.quantization(): Quantization? = optJSONObject("quantization")?.let {
            Quantization(it.getDouble("scale").toFloat(), it.getInt("zero_point"))
        }
    }
}
