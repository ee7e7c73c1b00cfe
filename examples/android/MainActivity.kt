package org.example.edgepose

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.os.Bundle
import android.widget.ImageView
import kotlin.concurrent.thread

/** Shows a picture of the assets with the keypoints of the person in it. */
class MainActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val view = ImageView(this).also { setContentView(it) }
        thread {
            val image = assets.open("person.jpg").use { BitmapFactory.decodeStream(it) }
            val drawn = PoseEstimator(assets).use { estimator ->
                // Step 8: a coarse look first, then a closer one at whom it found.
                val coarse = estimator.estimate(image)
                val person = estimator.estimate(image, estimator.around(coarse))
                if (person.score >= PoseEstimator.ACQUIRE_SCORE) draw(image, person, estimator.manifest)
                else image
            }
            runOnUiThread { view.setImageBitmap(drawn) }
        }
    }

    private fun draw(image: Bitmap, person: Person, manifest: Manifest): Bitmap {
        val copy = image.copy(Bitmap.Config.ARGB_8888, true)
        val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply { color = Color.GREEN; strokeWidth = 4f }
        val canvas = Canvas(copy)
        fun sure(k: Keypoint) = k.score >= PoseEstimator.MIN_KEYPOINT_SCORE
        for ((from, to) in manifest.edges) {
            val a = person.keypoints[from]
            val b = person.keypoints[to]
            if (sure(a) && sure(b)) {
                canvas.drawLine(a.x + 0.5f, a.y + 0.5f, b.x + 0.5f, b.y + 0.5f, paint)
            }
        }
        person.keypoints.filter(::sure).forEach { canvas.drawCircle(it.x + 0.5f, it.y + 0.5f, 6f, paint) }
        return copy
    }
}
