package org.example.edgepose

import android.content.res.AssetManager
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt
import org.tensorflow.lite.Interpreter

/** A keypoint in px of the source picture; the centre of its top left pixel is (0, 0). */
class Keypoint(val x: Float, val y: Float, val score: Float)

/** What part of the source the network is shown: centre and size in its px. */
class Region(val cx: Float, val cy: Float, val width: Float, val height: Float)

/**
 * Finds the keypoints of one person with an artifact of edge_pose.
 *
 * The numbers of the steps are those of docs/android.md. Not safe for several threads at once.
 */
class PoseEstimator(assets: AssetManager, threads: Int = 4) : AutoCloseable {
    val manifest = Manifest(assets.open("manifest.json").use { it.readBytes().decodeToString() })
    private val interpreter: Interpreter
    private val input: ByteBuffer
    private val output: ByteBuffer
    private val crop = Bitmap.createBitmap(manifest.width, manifest.height, Bitmap.Config.ARGB_8888)
    private val pixels = IntArray(manifest.width * manifest.height)
    private val paint = Paint(Paint.FILTER_BITMAP_FLAG)
    private val table: Array<IntArray>? = manifest.inputQuantization?.let { pixelTable(it) }

    init {
        // Step 1: load; no parser sees a file that was not hashed.
        val model = assets.open(manifest.fileName).use { it.readBytes() }
        val digest = MessageDigest.getInstance("SHA-256").digest(model)
        val found = digest.joinToString("") { "%02x".format(it) }
        require(found == manifest.sha256) { "${manifest.fileName}: is not the manifest's file" }
        val content = direct(model.size).apply { put(model); rewind() }
        interpreter = Interpreter(content, Interpreter.Options().setNumThreads(threads))
        input = direct(interpreter.getInputTensor(0).numBytes())
        output = direct(interpreter.getOutputTensor(0).numBytes())
    }

    override fun close() = interpreter.close()

    /** Looks at a region of a picture; [Person.score] says whether somebody is there. */
    fun estimate(image: Bitmap, region: Region = whole(image)): Person {
        cut(image, region)
        fill()
        interpreter.run(input.apply { rewind() }, output.apply { rewind() })
        return Person(decode().map { (x, y, score) ->
            // Step 7: from px of the input to px of the source.
            Keypoint(
                region.cx + (x - (manifest.width - 1) / 2f) * region.width / manifest.width,
                region.cy + (y - (manifest.height - 1) / 2f) * region.height / manifest.height,
                score,
            )
        })
    }

    /** Step 2: the whole picture. */
    fun whole(image: Bitmap) =
        fit((image.width - 1) / 2f, (image.height - 1) / 2f, image.width, image.height)

    /** Step 2: where to look for somebody in the next frame. */
    fun around(person: Person): Region {
        val sure = person.keypoints.filter { it.score >= MIN_KEYPOINT_SCORE }
        val points = if (sure.size >= 2) sure else person.keypoints
        val left = points.minOf { it.x }
        val right = points.maxOf { it.x }
        val top = points.minOf { it.y }
        val bottom = points.maxOf { it.y }
        val side = max(max(right - left, bottom - top), 1f) * CROP_PADDING
        return fit((left + right) / 2, (top + bottom) / 2, side, side)
    }

    private fun fit(cx: Float, cy: Float, width: Number, height: Number): Region {
        val aspect = manifest.width.toFloat() / manifest.height
        val grown = max(width.toFloat(), height.toFloat() * aspect)
        return Region(cx, cy, grown, grown / aspect)
    }

    /** Step 3: draw the region into [crop]; a canvas has its origin at the corner of a pixel. */
    private fun cut(image: Bitmap, region: Region) {
        val zoom = manifest.width / region.width
        val shrink = if (zoom < 0.5f) min((1 / zoom).toInt(), min(image.width, image.height)) else 1
        val source = if (shrink > 1) shrunk(image, shrink) else image
        val matrix = Matrix()
        matrix.setScale(shrink.toFloat(), shrink.toFloat())
        matrix.postTranslate(-(region.cx + 0.5f), -(region.cy + 0.5f))
        matrix.postScale(zoom, zoom)
        matrix.postTranslate(manifest.width / 2f, manifest.height / 2f)
        crop.eraseColor(Color.BLACK)
        Canvas(crop).drawBitmap(source, matrix, paint)
    }

    /** Means over squares of pixels; a rest at the right and at the bottom is left out. */
    private fun shrunk(image: Bitmap, factor: Int): Bitmap {
        val width = image.width / factor
        val height = image.height / factor
        val squares = IntArray(width * factor * factor) // one row of them
        val means = IntArray(width)
        val small = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        for (y in 0 until height) {
            image.getPixels(squares, 0, width * factor, 0, y * factor, width * factor, factor)
            for (x in 0 until width) means[x] = mean(squares, x, width, factor)
            small.setPixels(means, 0, width, 0, y, width, 1)
        }
        return small
    }

    private fun mean(squares: IntArray, x: Int, width: Int, factor: Int): Int {
        var red = 0
        var green = 0
        var blue = 0
        for (row in 0 until factor) for (column in 0 until factor) {
            val pixel = squares[(row * width + x) * factor + column]
            red += Color.red(pixel)
            green += Color.green(pixel)
            blue += Color.blue(pixel)
        }
        val n = factor * factor
        return Color.rgb((red + n / 2) / n, (green + n / 2) / n, (blue + n / 2) / n)
    }

    /** Step 4: what is stored for each value of a pixel, by channel in the network's order. */
    private fun pixelTable(quantization: Quantization): Array<IntArray> {
        val range = if (manifest.inputType == "int8") -128..127 else 0..255
        return Array(3) { c ->
            IntArray(256) { p ->
                val real = (p - manifest.mean[c]) / manifest.std[c]
                val stored = (real / quantization.scale).roundToInt() + quantization.zeroPoint
                stored.coerceIn(range)
            }
        }
    }

    /** Step 4: pixels to the input tensor. */
    private fun fill() {
        crop.getPixels(pixels, 0, manifest.width, 0, 0, manifest.width, manifest.height)
        input.rewind()
        for (pixel in pixels) {
            for (c in 0..2) {
                val red = (c == 0) == manifest.rgb
                val value = when {
                    c == 1 -> Color.green(pixel)
                    red -> Color.red(pixel)
                    else -> Color.blue(pixel)
                }
                when {
                    table != null -> input.put(table[c][value].toByte())
                    manifest.inputType == "uint8" -> input.put(value.toByte())
                    else -> input.putFloat((value - manifest.mean[c]) / manifest.std[c])
                }
            }
        }
    }

    /** Step 5: the output's numbers. */
    private fun read(): FloatArray {
        output.rewind()
        val quantization = manifest.outputQuantization
        val signed = manifest.outputType == "int8"
        return FloatArray(manifest.outputShape.reduce(Int::times)) {
            if (manifest.outputType == "float32") return@FloatArray output.getFloat()
            val stored = output.get().toInt().let { if (signed) it else it and 0xff }
            if (quantization == null) stored.toFloat()
            else (stored - quantization.zeroPoint) * quantization.scale
        }
    }

    /** Step 6: x and y in px of the input, and a score, for each keypoint. */
    private fun decode(): List<Triple<Float, Float, Float>> {
        val values = read()
        val count = manifest.keypoints.size
        if (manifest.decoded) {
            return List(count) { k -> Triple(values[3 * k], values[3 * k + 1], values[3 * k + 2]) }
        }
        val h = manifest.outputShape[1]
        val w = manifest.outputShape[2]
        return List(count) { k -> decodeMap(w, h) { x, y -> values[(y * w + x) * count + k] } }
    }

    private fun decodeMap(w: Int, h: Int, at: (Int, Int) -> Float): Triple<Float, Float, Float> {
        var px = 0
        var py = 0
        for (y in 0 until h) for (x in 0 until w) if (at(x, y) > at(px, py)) { px = x; py = y }
        val peak = at(px, py)
        fun mass(x: Int, y: Int) = if (manifest.logits) exp(at(x, y) - peak) else max(at(x, y), 0f)

        val rx = min(WINDOW_RADIUS, min(px, w - 1 - px))
        val ry = min(WINDOW_RADIUS, min(py, h - 1 - py))
        var sum = 0f
        var dx = 0f
        var dy = 0f
        for (y in -ry..ry) for (x in -rx..rx) {
            val m = mass(px + x, py + y)
            sum += m
            dx += m * x
            dy += m * y
        }
        val shiftX = if (sum > 0) dx / sum else 0f
        val shiftY = if (sum > 0) dy / sum else 0f

        var score = peak
        if (manifest.logits) {
            var inside = 0f
            var all = 0f
            for (y in 0 until h) for (x in 0 until w) {
                val m = mass(x, y)
                all += m
                val near = x in px - WINDOW_RADIUS..px + WINDOW_RADIUS &&
                    y in py - WINDOW_RADIUS..py + WINDOW_RADIUS
                if (near) inside += m
            }
            score = inside / all
        }
        val stride = manifest.stride
        return Triple(
            (px + shiftX + 0.5f) * stride - 0.5f,
            (py + shiftY + 0.5f) * stride - 0.5f,
            score.coerceIn(0f, 1f),
        )
    }

    companion object {
        const val WINDOW_RADIUS = 3
        const val CROP_PADDING = 1.4f
        const val MIN_KEYPOINT_SCORE = 0.3f
        const val ACQUIRE_SCORE = 0.45f

        private fun direct(size: Int) = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())
    }
}

/** The keypoints of one person, in the order of the manifest's names. */
class Person(val keypoints: List<Keypoint>) {
    /** Step 8: the better half counts, because half of a person is often hidden. */
    val score: Float = keypoints.map { it.score }.sorted().drop(keypoints.size / 2).average().toFloat()
}
