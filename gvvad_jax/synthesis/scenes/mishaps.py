"""Drawn forms of accidents, fire, explosion and panic; each acts in frames [start, end) alone."""

import numpy as np

from gvvad_jax.synthesis.scenes import effects, poses, stage


def _part(start: int, end: int, share: float | int) -> int:
    return start + round((end - start) * share)


def fall(scene: stage.Scene, start: int, end: int) -> str:
    """A walker stumbles, lies on the ground and gets up again."""
    x, z = scene.spot()
    way = 0.0 if scene.side() > 0 else np.pi
    person = scene.script().arrive(x, z, way, start)
    down = min(6, (end - start) // 3)
    stumble = poses.pose(lean=0.7, arm_l=1.8, arm_r=1.4, thigh_l=0.9, knee_l=0.6, thigh_r=-0.5, tilt=0.2)
    person.x += 0.2 * np.cos(way)
    person.to(stumble, max(1, down // 3)).to(poses.LIE, max(2, down - down // 3)).hold(
        poses.LIE, _part(start, end, 0.72)
    )
    person.to(poses.CROUCH, max(1, (end - start) // 8)).hold(poses.CROUCH, _part(start, end, 0.9)).hold(
        poses.STOOP, end
    )
    scene.add(person.leave(way, 1.0))
    return "a person falls and lies on the ground"


def fire(scene: stage.Scene, start: int, end: int) -> str:
    """Flames and smoke with nobody near."""
    if scene.random.random() < 0.5:
        x, z = scene.spot()
        light = float(scene.place.light(x, z).mean())
        scene.extras.append(effects.Thing(x, 0, z, 0.75, 1.0, (60.0, 66, 72), light=light))
        scene.fire(x, 0.5, z, scene.random.uniform(1.3, 2.0), start, end)
    else:
        left, right, low, _ = scene.opening()
        scene.fire((left + right) / 2, low, scene.place.wall - 0.1, scene.random.uniform(1.4, 2.2), start, end)
    return "a fire is burning with flames and thick smoke"


def explosion(scene: stage.Scene, start: int, end: int) -> str:
    """A flash and a ball of fire, then smoke; people nearby are thrown down or run."""
    x, z = scene.spot(inner=0.35)
    size = scene.random.uniform(0.9, 1.3)
    scene.extras.append(effects.Blast(x, 0.2, z + 0.6, size, start, scene.random.random((36, 4)), scene.fps))
    scene.fire(x, 0.2, z + 0.5, 1.5 * size, start + 3, end, flames=end - start > 20)
    for k in range(4):
        side = 1 if k % 2 else -1
        at = x + side * scene.random.uniform(1.5, 3.2)
        hit = start + 2 + k % 2
        person = scene.script().arrive(at, z + scene.random.uniform(-0.9, 0.4), scene.random.choice([0.0, np.pi]), hit)
        way = 0.0 if side > 0 else np.pi
        if k < 2:
            person.turn(way).to(poses.LIE, 3).hold(poses.LIE, _part(start, end, 0.6)).to(poses.CROUCH, 3)
        person.leave(way, 3.6, runs=True, until=end)
        scene.add(person.leave(way))
    _soot(scene, start, x, z + 0.6)
    return "an explosion with a ball of fire and smoke throws people to the ground"


def road_accident(scene: stage.Scene, start: int, end: int) -> str:
    """Two cars crash and drive off later, or a car hits somebody who crosses."""
    low, high = scene.place.road or scene.place.walk[0]
    lanes = (low + 0.27 * (high - low), low + 0.73 * (high - low))
    a, b = scene.place.camera.reach((low + high) / 2)
    x = a + (b - a) * scene.random.uniform(0.4, 0.6)
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    hit, stop = start + 2, start + 5
    go, speed = _part(start, end, 0.85), scene.random.uniform(5.5, 7.5) / scene.fps
    last = scene.num_frames - 1 + 40
    if scene.random.random() < 0.6:
        first, second = lanes if side > 0 else lanes[::-1]
        meet = (first + second) / 2
        d = 2.15 * side
        bounce = [
            (stop, x - d - 0.1 * side, meet + 0.3, way + 0.55 * side),
            (go, x - d - 0.1 * side, meet + 0.3, way + 0.55 * side),
        ]
        scene.vehicle(
            [(start - 60, x - d - side * speed * 62, first, way), (start - 1, x - d - 2 * side * speed, first, way)]
            + [(hit, x - d, meet - 0.2, way + 0.25 * side), *bounce]
            + [(end, x - d + side * 1.2, first, way), (last, x - d + side * speed * (last - end), first, way)]
        )
        back = way + np.pi
        rest = [
            (stop, x + d + 0.1 * side, meet - 0.2, back + 0.7 * side),
            (go, x + d + 0.1 * side, meet - 0.2, back + 0.7 * side),
        ]
        scene.vehicle(
            [(start - 60, x + d + side * speed * 62, second, back), (hit, x + d, meet + 0.3, back + 0.2 * side), *rest]
            + [(end, x + d - side * 0.2, second + 0.1, back), (last, x + d - side * speed * (last - end), second, back)]
        )
        scene.extras.append(effects.Flash(x, 0.6, meet - 0.3, frozenset((hit, hit + 1)), 0.5))
        said = "two cars crash into each other on the road"
    else:
        depth = lanes[0]
        walker = scene.script().arrive(x, depth, np.pi / 2 if scene.side() > 0 else -np.pi / 2, hit, 1.4)
        thrown = max(hit + 1, min(hit + 4, end))
        for t in range(hit, thrown):
            k = (t - hit + 1) / (thrown - hit)
            walker.x, walker.height = x + side * 2.6 * k, 1.1 * np.sin(np.pi * k)
            walker.turn(way).hold(poses.STAND + (poses.LIE - poses.STAND) * min(1, 1.5 * k), t + 1)
        walker.height = 0.0
        walker.hold(poses.LIE, _part(start, end, 0.78)).to(poses.CROUCH, 3).hold(poses.CROUCH, end)
        away = np.pi / 2 if depth > (low + high) / 2 else -np.pi / 2
        scene.add(walker.leave(away, 1.2))
        front = x - 2.4 * side
        scene.vehicle(
            [
                (start - 60, front - side * speed * 62, depth, way),
                (hit, front, depth, way),
                (stop, front + 0.9 * side, depth, way + 0.15),
            ]
            + [(go, front + 0.9 * side, depth, way + 0.15), (end, front - 0.4 * side, depth, way)]
            + [(last, front - side * speed * (last - end), depth, way)]
        )
        said = "a car hits a person who crosses the road"
    dust = scene.fire(x, 0.4, (lanes[0] + lanes[1]) / 2, 1.0, hit, max(hit + 3, _part(start, end, 0.8)), flames=False)
    dust.dark *= 1.5
    return said


def car_on_pavement(scene: stage.Scene, start: int, end: int) -> str:
    """A car leaves the road, drives among the walkers and goes back; one walker jumps aside."""
    low, high = scene.place.walk[0]
    lane = scene.random.uniform(low + 0.35 * (high - low), high - 0.2 * (high - low))
    a, b = scene.place.camera.reach(lane)
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    first, final = (a, b) if side > 0 else (b, a)
    road = scene.place.road
    if road and end - start > 14:
        away = road[0] + 0.3 * (road[1] - road[0])
        turn = 0.5 * side * (1 if away > lane else -1)
        begin, finish = first + 0.18 * (final - first), first + 0.82 * (final - first)
        step = (finish - begin) / (end - start)
        k = max(3, (end - start) // 5)
        points = [(start - 50, begin - step * 50, away, way), (start, begin, away, way)]
        points += [
            (start + k // 2, begin + step * k / 2, (away + lane) / 2, way - turn),
            (start + k, begin + step * k, lane, way),
        ]
        points += [
            (end - k, finish - step * k, lane, way),
            (end - k // 2, finish - step * k / 2, (away + lane) / 2, way + turn),
        ]
        points += [(end, finish, away, way), (end + 60, finish + step * 60, away, way)]
    else:
        before, after = first - 2.2 * side, final + 2.2 * side
        step = (after - before) / (end - start)
        points = [(start - 50, before - step * 50 - 30 * side, lane, way), (start - 1, before, lane, way)]
        points += [(end, after, lane, way), (end + 5, after + 60 * side, lane, way)]
    scene.vehicle(points)
    x = (a + b) / 2 + scene.random.uniform(-1, 1)
    when = _part(start, end, 0.3)
    walker = scene.script().arrive(x, lane, way, when)
    jump = lane + (1.3 if lane < (low + high) / 2 else -1.3)
    walker.go(x + 0.4 * side, jump, runs=True, frames=4).hold(poses.REEL, _part(start, end, 0.7)).hold(poses.STAND, end)
    scene.add(walker.leave(way))
    return "a car drives on the pavement among the walkers"


def running_crowd(scene: stage.Scene, start: int, end: int) -> str:
    """All of a crowd that stands or strolls start to run at once."""
    low, high = scene.place.walk[0]
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    for _ in range(int(scene.random.integers(9, 13))):
        z = scene.random.uniform(low, high)
        a, b = scene.place.camera.reach(z)
        x = scene.random.uniform(a, b) - side * 0.2 * (b - a)
        stroll = way if scene.random.random() < 0.5 else way + np.pi
        person = scene.script().arrive(x, z, stroll, start + int(scene.random.integers(0, 3)), 0.5)
        own = way + scene.random.uniform(-0.12, 0.12)
        person.leave(own, scene.random.uniform(2.8, 4.2), runs=True, until=end)
        scene.add(person.leave(own, 1.2))
    return "a crowd of people is running away in panic"


def _soot(scene: stage.Scene, at: int, x: float | int, z: float | int) -> None:
    lines = [((x - 0.8, 0.0, z + d), (x + 0.8, 0.0, z + d), 0.35) for d in (-0.2, 0.0, 0.2)]
    scene.paint(at, lines, (30.0, 28, 27), 0.45)
