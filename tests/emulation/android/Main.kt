import android.content.res.AssetManager
import android.graphics.BitmapFactory
import java.io.File
import org.example.edgepose.PoseEstimator
import org.example.edgepose.Region

/** Prints x, y and score of each keypoint: artifact folder, picture, region's centre and size. */
fun main(arguments: Array<String>) {
    val image = File(arguments[1]).inputStream().use { BitmapFactory.decodeStream(it) }
    val (cx, cy, width, height) = arguments.drop(2).map { it.toFloat() }
    PoseEstimator(AssetManager(arguments[0])).use { estimator ->
        val person = estimator.estimate(image, Region(cx, cy, width, height))
        person.keypoints.forEach { println("${it.x} ${it.y} ${it.score}") }
    }
}
