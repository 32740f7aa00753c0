"""What happens on every day: walkers, talk, traffic, and harmless surprises that are no anomaly."""

import numpy as np

from gvvad_jax.synthesis.scenes import effects, poses, stage

OUTDOOR = ("street", "far street", "houses", "car park", "square", "station")


def fill(scene: stage.Scene, busy: float | int, quiet_road: bool) -> None:
    """Walkers, people who stand and talk, cars on a road and in bays; `quiet_road`: an event needs the road."""
    random, place = scene.random, scene.place
    for _ in range(int(random.integers(2, 5) * busy)):
        walker(scene)
    if random.random() < 0.4:
        talk(scene)
    night = place.night
    if place.road and not quiet_road:
        low, high = place.road
        at = random.uniform(-20, 40)
        while at < scene.num_frames + 20:
            side = scene.side()
            passing(scene, at, side, random.uniform(4.5, 8.5), night)
            at += random.uniform(25, 70)
    for x, z, heading in place.bays:
        if random.random() < 0.6:
            scene.vehicle([(0, x, z, heading)], lights=False)


def walker(scene: stage.Scene, kind: str = "person", speed: float | int | None = None, runs: bool = False) -> None:
    """Somebody who crosses the picture along a strip, at a moment of which nothing is known."""
    random = scene.random
    strip = scene.place.walk[random.integers(len(scene.place.walk))]
    z = random.uniform(*strip)
    a, b = scene.place.camera.reach(z)
    way = 0.0 if scene.side() > 0 else np.pi
    pace = random.uniform(0.9, 1.6) if speed is None else speed
    person = scene.script(kind)
    at = int(random.integers(0, scene.num_frames))
    person.arrive(random.uniform(a, b), z, way, at, pace, runs)
    scene.add(person.leave(way, pace, runs))


def talk(scene: stage.Scene) -> None:
    """Two who stand and talk with their hands."""
    x, z = scene.spot(scene.place.walk[-1], inner=0.12)
    scene.taken.append((x, z))
    for side in (-1, 1):
        person = scene.script()
        person.x, person.z = x - 0.45 * side, z + 0.1 * side
        rate, shift = scene.random.uniform(0.2, 0.5), scene.random.uniform(0, 6)
        person.turn(0.0 if side > 0 else np.pi).hold(
            lambda t, r=rate, s=shift: poses.pose(
                arm_r=0.5 + 0.5 * max(0, np.sin(r * t + s)), elbow_r=1.2, arm_l=0.1, nod=0.1 * np.sin(0.7 * t + s)
            ),
            scene.num_frames,
        )
        scene.add(person)


def passing(scene: stage.Scene, at: float | int, side: int, speed: float | int, lights: bool, kind: str = ""):
    """A vehicle that drives along its lane and is in the middle of the picture in frame `at`."""
    low, high = scene.place.road or scene.place.walk[0]
    lane = low + (0.27 if side > 0 else 0.73) * (high - low)
    a, b = scene.place.camera.reach(lane)
    x, way, step = (a + b) / 2, 0.0 if side > 0 else np.pi, speed / scene.fps * side
    return scene.vehicle([(at - 100, x - 100 * step, lane, way), (at + 300, x + 300 * step, lane, way)], kind, lights)


def _span(scene: stage.Scene, frames: int) -> int:
    return int(scene.random.integers(0, max(1, scene.num_frames - frames)))


def running_child(scene: stage.Scene, quiet_road: bool) -> str:
    """A child runs through, or plays to and fro."""
    random = scene.random
    z = random.uniform(*scene.place.walk[0])
    a, b = scene.place.camera.reach(z)
    child = scene.script("child")
    if random.random() < 0.5:
        way = 0.0 if scene.side() > 0 else np.pi
        at = _span(scene, 10) + 5
        child.arrive((a + b) / 2, z, way, at, 2.8, True).leave(way, 2.8, True)
        reach = int((b - a) / 2 / 2.8 * scene.fps)
        said = (max(0, at - reach), min(scene.num_frames, at + reach))
    else:
        child.x, child.z = random.uniform(a, b), z
        while child.now < scene.num_frames:
            child.go(random.uniform(a + 0.2 * (b - a), b - 0.2 * (b - a)), z, 2.5, True)
        said = (0, scene.num_frames)
    scene.add(child)
    scene.seen.append((said[0], said[1], "a child is running"))
    return "running child"


def jogger(scene: stage.Scene, quiet_road: bool) -> str:
    """Somebody jogs through."""
    z = scene.random.uniform(*scene.place.walk[0])
    a, b = scene.place.camera.reach(z)
    way = 0.0 if scene.side() > 0 else np.pi
    at, reach = _span(scene, 10) + 5, int((b - a) / 2 / 2.9 * scene.fps)
    scene.add(scene.script().arrive((a + b) / 2, z, way, at, 2.9, True).leave(way, 2.9, True))
    scene.seen.append((max(0, at - reach), min(scene.num_frames, at + reach), "a jogger runs by"))
    return "jogger"


def greeting(scene: stage.Scene, quiet_road: bool) -> str:
    """Two meet, embrace, and go on."""
    x, z = scene.spot()
    at = _span(scene, 20)
    until = at + int(scene.random.integers(12, 26))
    for way in (0.0, np.pi):
        person = scene.script().arrive(x - 0.3 * np.cos(way), z, way, at)
        arms = poses.pose(arm_l=1.3, elbow_l=0.5, arm_r=1.1, elbow_r=0.6, lean=0.12)
        person.to(arms, 3).hold(arms, until).leave(way)
        scene.add(person)
    scene.seen.append((at, min(until, scene.num_frames), "two people meet and hug"))
    return "greeting"


def stooping(scene: stage.Scene, quiet_road: bool) -> str:
    """A walker bends down to pick something up, or to tie a shoe."""
    x, z = scene.spot()
    at, way = _span(scene, 20), 0.0 if scene.side() > 0 else np.pi
    until = at + int(scene.random.integers(10, 25))
    low = poses.CROUCH if scene.random.random() < 0.5 else poses.STOOP
    scene.add(scene.script().arrive(x, z, way, at).to(low, 4).hold(low, until).to(poses.STAND, 3).leave(way))
    scene.seen.append((at, min(until, scene.num_frames), "a person bends down to pick something up"))
    return "stooping"


def headlights(scene: stage.Scene, quiet_road: bool) -> str:
    """At night the picture brightens as strong lights come; by day the exposure swings."""
    at, length = _span(scene, 30), int(scene.random.integers(12, 30))
    t = np.arange(scene.num_frames)
    peak = scene.random.uniform(14, 34) * np.exp(-(((t - at - length / 2) / (length / 3)) ** 2))
    scene.brightness = peak if scene.brightness is None else scene.brightness + peak
    if scene.place.road and not quiet_road:
        made = passing(scene, at + length / 2, scene.side(), 6.0, True)
        if scene.place.night:
            scene.beams.append(effects.Beam(made.place, made.heading, made.body.length, 1.6))
    words = "headlights shine into the camera" if scene.place.night else "the light changes for a moment"
    scene.seen.append((at, min(at + length, scene.num_frames), words))
    return "headlights" if scene.place.night else "changing light"


def rain(scene: stage.Scene, quiet_road: bool) -> str:
    """It rains throughout."""
    scene.rain = effects.Rain(scene.random)
    scene.seen.append((0, scene.num_frames, "it is raining"))
    return "rain"


def parked_car(scene: stage.Scene, quiet_road: bool) -> str:
    """A car that stands at the kerb starts and drives off."""
    low, high = scene.place.road or scene.place.walk[0]
    at, side = _span(scene, 30), scene.side()
    lane = low + (0.24 if side > 0 else 0.76) * (high - low)
    a, b = scene.place.camera.reach(lane)
    x, way = a + (b - a) * scene.random.uniform(0.3, 0.7), 0.0 if side > 0 else np.pi
    points = [(0, x, lane, way), (at, x, lane, way)]
    points += [(at + k, x + side * 0.02 * k * k, lane, way) for k in range(3, 100, 3)]
    scene.vehicle(points)
    scene.seen.append((at, min(at + 25, scene.num_frames), "a parked car starts and drives off"))
    return "parked car starting"


def choose(scene: stage.Scene, quiet_road: bool) -> str:
    """One surprise that this place allows; says which."""
    options = [running_child, running_child, jogger, greeting, stooping, headlights]
    if scene.place.kind in OUTDOOR and scene.rain is None:
        options.append(rain)
    if scene.place.road and not quiet_road:
        options += [parked_car, headlights]
    return options[scene.random.integers(len(options))](scene, quiet_road)
