"""Receive poses with nothing but paho-mqtt: `python examples/subscribe.py [HOST] [PORT]`.

Run `edge-pose run 0 --mqtt mqtt://HOST` somewhere; this prints where each person's hands are.
"""

from __future__ import annotations

import json
import sys

import paho.mqtt.client as mqtt

# Index of the wrists in the keypoint format "mpii16", which every message names.
RIGHT_WRIST, LEFT_WRIST = 10, 15


def on_message(client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
    """Print one line per person."""
    del client, userdata
    poses = json.loads(message.payload)
    for pose in poses["poses"]:
        hands = [pose["keypoints"][i] for i in (RIGHT_WRIST, LEFT_WRIST)]
        sys.stdout.write(f"frame {poses['frame']}: person {pose['id']}, hands {hands}\n")
    sys.stdout.flush()


def main() -> None:
    """Subscribe to the poses of every device and camera."""
    host = sys.argv[1] if len(sys.argv) > 1 else "localhost"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 1883
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("edge_pose/+/+/poses")
    client.on_message = on_message
    client.connect(host, port)
    client.loop_forever()


if __name__ == "__main__":
    main()
