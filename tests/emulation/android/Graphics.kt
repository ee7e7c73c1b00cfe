package android.graphics

import java.awt.geom.AffineTransform
import java.awt.image.BufferedImage
import java.io.InputStream
import javax.imageio.ImageIO
import kotlin.math.floor
import kotlin.math.roundToInt

// Stand-ins for what examples/android uses of Android's classes: enough to compile and run it.

class Bitmap(val image: BufferedImage) {
    enum class Config { ARGB_8888 }

    val width get() = image.width
    val height get() = image.height

    fun eraseColor(color: Int) {
        for (y in 0 until height) for (x in 0 until width) image.setRGB(x, y, color)
    }

    fun getPixels(to: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        image.getRGB(x, y, width, height, to, offset, stride)
    }

    fun setPixels(from: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        image.setRGB(x, y, width, height, from, offset, stride)
    }

    fun copy(config: Config, mutable: Boolean): Bitmap {
        val copy = createBitmap(width, height, config)
        copy.image.createGraphics().drawImage(image, 0, 0, null)
        return copy
    }

    companion object {
        fun createBitmap(width: Int, height: Int, config: Config) =
            Bitmap(BufferedImage(width, height, BufferedImage.TYPE_INT_ARGB))
    }
}

object BitmapFactory {
    fun decodeStream(stream: InputStream) = Bitmap(ImageIO.read(stream))
}

class Matrix {
    var transform = AffineTransform()

    fun setScale(x: Float, y: Float) {
        transform = AffineTransform.getScaleInstance(x.toDouble(), y.toDouble())
    }

    fun postScale(x: Float, y: Float): Boolean {
        transform.preConcatenate(AffineTransform.getScaleInstance(x.toDouble(), y.toDouble()))
        return true
    }

    fun postTranslate(x: Float, y: Float): Boolean {
        transform.preConcatenate(AffineTransform.getTranslateInstance(x.toDouble(), y.toDouble()))
        return true
    }
}

class Paint(flags: Int) {
    var color = 0
    var strokeWidth = 0f

    companion object {
        const val ANTI_ALIAS_FLAG = 1
        const val FILTER_BITMAP_FLAG = 2
    }
}

object Color {
    const val BLACK = -0x1000000
    const val GREEN = -0xff0100

    fun red(color: Int) = color shr 16 and 0xff
    fun green(color: Int) = color shr 8 and 0xff
    fun blue(color: Int) = color and 0xff
    fun rgb(red: Int, green: Int, blue: Int) = BLACK or (red shl 16) or (green shl 8) or blue
}

class Canvas(private val bitmap: Bitmap) {
    /** Bilinear, as with FILTER_BITMAP_FLAG; pixels outside of the source stay as they were. */
    fun drawBitmap(source: Bitmap, matrix: Matrix, paint: Paint) {
        val inverse = matrix.transform.createInverse()
        val at = DoubleArray(2)
        for (y in 0 until bitmap.height) for (x in 0 until bitmap.width) {
            at[0] = x + 0.5
            at[1] = y + 0.5
            inverse.transform(at, 0, at, 0, 1)
            if (at[0] >= 0 && at[0] < source.width && at[1] >= 0 && at[1] < source.height) {
                bitmap.image.setRGB(x, y, between(source, at[0] - 0.5, at[1] - 0.5))
            }
        }
    }

    fun drawLine(x0: Float, y0: Float, x1: Float, y1: Float, paint: Paint) = Unit

    fun drawCircle(x: Float, y: Float, radius: Float, paint: Paint) = Unit

    private fun between(source: Bitmap, x: Double, y: Double): Int {
        val left = floor(x).toInt()
        val top = floor(y).toInt()
        val a = x - left
        val b = y - top
        fun value(column: Int, row: Int, channel: (Int) -> Int): Int {
            val inX = column.coerceIn(0, source.width - 1)
            return channel(source.image.getRGB(inX, row.coerceIn(0, source.height - 1)))
        }
        fun mean(channel: (Int) -> Int): Int {
            val above = (1 - a) * value(left, top, channel) + a * value(left + 1, top, channel)
            val below = (1 - a) * value(left, top + 1, channel) + a * value(left + 1, top + 1, channel)
            return ((1 - b) * above + b * below).roundToInt()
        }
        return Color.rgb(mean(Color::red), mean(Color::green), mean(Color::blue))
    }
}
