"""Drawn forms of UCF-Crime's classes that people do to people or things; each acts in frames [start, end) alone."""

import numpy as np

from gvvad_jax.synthesis.scenes import effects, poses, stage

QUICK = 3.6  # metres a second of somebody who runs


def _part(start: int, end: int, share: float | int) -> int:
    return start + round((end - start) * share)


def _face(a, b) -> float:
    return float(np.arctan2(b[1] - a[1], b[0] - a[0]))


def abuse(scene: stage.Scene, start: int, end: int) -> str:
    """A grown-up beats a child that cowers."""
    x, z = scene.spot()
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    adult = scene.script().arrive(x - 0.65 * side, z, way, start)
    child = scene.script("child").arrive(x, z - 0.05, way, start)
    adult.turn(way).cycle([poses.RAISE, poses.RAISE, poses.STRIKE], 1, _part(start, end, 0.55))
    adult.cycle([poses.KICK, poses.RAISE, poses.STRIKE, poses.STRIKE], 2, end)
    child.to(poses.COWER, max(2, (end - start) // 8)).hold(
        lambda t: poses.COWER + 0.12 * np.sin(2.5 * t) * (np.arange(12) == 1), end
    )
    scene.add(adult.leave(way), child.leave(way))
    return "a man is beating a child who cowers on the ground"


def arrest(scene: stage.Scene, start: int, end: int) -> str:
    """Two officers run to somebody, force him down and kneel on him; a patrol car flashes where there is a road."""
    x, z = scene.spot()
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    caught, down, up = _part(start, end, 0.22), _part(start, end, 0.4), _part(start, end, 0.85)
    suspect = scene.script().arrive(x, z, way, start).turn(way + np.pi)
    suspect.hold(poses.HANDS_UP, caught).to(poses.KNEEL, max(1, (down - caught) // 2)).to(
        poses.LIE, max(1, (down - caught) // 2)
    )
    suspect.hold(poses.LIE, up).to(poses.KNEEL, max(1, (end - up) // 2)).hold(poses.KNEEL, end)
    for k, offset in enumerate((0.55, -0.55)):
        officer = scene.script("officer")
        officer.arrive(x - (3.4 + 0.7 * k) * side, z + offset, way, start, speed=1.5)
        officer.go(x - 0.75 * side, z + offset * 0.8, runs=True, frames=caught - start)
        officer.turn(_face((x - 0.75 * side, z + offset * 0.8), (x, z))).hold(poses.REACH, down)
        officer.to(poses.CROUCH, 2).hold(poses.CROUCH, up).hold(poses.REACH, end)
        scene.add(officer.leave(way))
    scene.add(suspect.leave(way, 1.2))
    if scene.place.road:
        low, high = scene.place.road
        a, b = scene.place.camera.reach((low + high) / 2)
        at, lane = a + 0.5 * (b - a) - 2 * side, low + 0.3 * (high - low)
        if lane < z:  # nearer than the arrest: beside it, so that car and lamps do not hide it
            at = float(np.clip(x - 4.5 * side, a + 1.5, b - 1.5))
        scene.vehicle([(0, at, lane, way)], "police")
        frames = range(start, end)
        for shift, colour, when in ((-0.3, (60.0, 90, 215), 0), (0.3, (215.0, 60, 60), 1)):
            lit = frozenset(t for t in frames if (t // 2) % 2 == when)
            scene.extras.append(effects.Flash(at + shift, 1.6, lane - 0.05, lit, 0.3, colour))
    return "police officers arrest a man and force him to the ground"


def arson(scene: stage.Scene, start: int, end: int) -> str:
    """A hooded person with a torch sets fire to a bin and runs away."""
    x, z = scene.spot(inner=0.35)
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    scene.extras.append(effects.Thing(x, 0, z, 0.75, 1.0, (52.0, 80, 62), light=float(scene.place.light(x, z).mean())))
    lit, away = _part(start, end, 0.25), _part(start, end, 0.42)
    person = scene.script("hooded").arrive(x - 0.8 * side, z - 0.1, way, start)
    person.take("torch").to(poses.STOOP, max(2, (lit - start) // 2)).hold(poses.STOOP, lit).hold(poses.REACH, away)
    person.take("").leave(way + np.pi, QUICK, runs=True, until=end).leave(way + np.pi)
    scene.add(person)
    scene.fire(x, 0.55, z, scene.random.uniform(1.1, 1.6), lit, end)
    return "a person sets fire to a bin, flames and smoke rise, and he runs away"


def assault(scene: stage.Scene, start: int, end: int) -> str:
    """Somebody is attacked from behind, knocked down and kicked; the attacker runs."""
    x, z = scene.spot()
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    blow, down, off = _part(start, end, 0.18), _part(start, end, 0.38), _part(start, end, 0.72)
    victim = scene.script().arrive(x, z, way, blow)
    victim.to(poses.REEL, 1).hold(poses.REEL, _part(blow, down, 0.4))
    victim.to(poses.LIE, max(2, down - victim.now))
    victim.hold(poses.LIE, _part(start, end, 0.88)).to(poses.CROUCH, max(1, (end - start) // 12)).hold(
        poses.CROUCH, end
    )
    attacker = scene.script("hooded").arrive(x - 3.2 * side, z, way, start, speed=1.35)
    attacker.go(x - 0.6 * side, z - 0.1, runs=True, frames=max(1, blow - start)).cycle(
        [poses.HIT, poses.GUARD, poses.HIT], 2, down
    )
    attacker.cycle([poses.KICK, poses.KICK, poses.GUARD], 2, off)
    scene.add(victim.leave(way, 0.9), attacker.leave(way + np.pi, QUICK, runs=True, until=end).leave(way + np.pi))
    return "a man attacks a person from behind, knocks him down and kicks him"


def burglary(scene: stage.Scene, start: int, end: int) -> str:
    """A hooded person breaks a window with a bar, climbs in and comes out with a bag."""
    left, right, low, high = scene.opening()
    x, wall = (left + right) / 2, scene.place.wall
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    broken, inside, back = _part(start, end, 0.35), _part(start, end, 0.52), _part(start, end, 0.75)
    thief = scene.script("hooded").take("bar").arrive(x, wall - 0.65, way, start).turn(np.pi / 2)
    thief.cycle([poses.RAISE, poses.RAISE, poses.STRIKE], 1, broken)
    thief.height = low * 0.5
    thief.hold(poses.CROUCH, _part(broken, inside, 0.4))
    thief.height, thief.z = low, wall - 0.15
    thief.hold(poses.CROUCH, inside)
    thief.shown = False
    thief.hold(poses.STAND, back).take("bag").turn(-np.pi / 2)
    thief.shown = True
    thief.hold(poses.CROUCH, _part(back, end, 0.3))
    thief.height, thief.z = 0.0, wall - 0.6
    thief.leave(way, QUICK, runs=True, until=end)
    scene.add(thief.leave(way))
    dark = [
        ((left + 0.1 + 0.25 * i, low + 0.2, wall), (left + 0.1 + 0.25 * i, high - 0.2, wall), 0.26) for i in range(4)
    ]
    scene.paint(_part(start, broken, 0.7), dark, (26.0, 26, 30))
    _crack(scene, _part(start, broken, 0.4), left, right, low, high)
    return "a hooded person breaks a window and climbs into the building to steal"


def fighting(scene: stage.Scene, start: int, end: int) -> str:
    """Two or three exchange blows and kicks and push each other about."""
    x, z = scene.spot()
    apart, rate = 0.42, scene.random.uniform(0.25, 0.45)
    for way in (0.0, np.pi):
        fighter = scene.script().arrive(x - apart * np.cos(way), z, way, start)
        moves = [poses.HIT, poses.GUARD, poses.KICK, poses.REEL, poses.HIT, poses.HIT, poses.GUARD, poses.REEL]
        order = scene.random.permutation(len(moves))
        x0 = x - apart * np.cos(way)
        for t in range(start, end):
            fighter.x, fighter.z = x0 + 0.5 * np.sin(rate * (t - start)), z + 0.25 * np.sin(1.7 * rate * (t - start))
            fighter.turn(way + 0.3 * np.sin(t * 0.9)).hold(moves[order[(t - start) // 2 % len(moves)]], t + 1)
        scene.add(fighter.leave(way + np.pi))
    return "two men are fighting, punching and kicking each other"


def robbery(scene: stage.Scene, start: int, end: int) -> str:
    """A hooded person points a gun at somebody with raised hands, takes the bag and runs."""
    x, z = scene.spot()
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    grab, off = _part(start, end, 0.5), _part(start, end, 0.65)
    victim = scene.script().take("bag").arrive(x, z, way + np.pi, start)
    victim.to(poses.HANDS_UP, 2).hold(poses.HANDS_UP, grab).take("").hold(poses.HANDS_UP, _part(start, end, 0.9))
    victim.to(poses.STAND, 2).hold(poses.STAND, end)
    robber = scene.script("hooded").arrive(x - 1.5 * side, z - 0.1, way, start).take("gun").hold(poses.AIM, grab)
    robber.go(x - 0.7 * side, z - 0.1, frames=max(1, (off - grab) // 2)).hold(poses.REACH, off).take("bag")
    robber.leave(way + np.pi, QUICK, runs=True, until=end)
    scene.add(victim.leave(way + np.pi), robber.leave(way + np.pi))
    return "a robber points a gun at a person with raised hands and takes the bag"


def shooting(scene: stage.Scene, start: int, end: int) -> str:
    """Somebody fires a gun; one falls, others run away or crouch."""
    x, z = scene.spot(inner=0.25)
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    a, b = scene.place.camera.reach(z)
    shooter = scene.script("hooded").arrive(x, z, way, start).take("gun").hold(poses.AIM, _part(start, end, 0.85))
    scene.add(shooter.take("").hold(poses.STAND, end).leave(way + np.pi))
    every = range(start + 2, _part(start, end, 0.8), max(3, (end - start) // 7))
    for offset in (0, 1):
        scene.extras.append(
            effects.Flash(x + 0.95 * side, 1.42, z - 0.05, frozenset(t + offset for t in every), 0.5 - 0.2 * offset)
        )
    for k in range(3):
        at = x + side * scene.random.uniform(1.8, 2.6 + 1.1 * k)
        depth = z + scene.random.uniform(-0.4, 0.8)
        hit = start + 2 + 2 * k
        person = scene.script().arrive(at, depth, scene.random.choice([0.0, np.pi]), hit)
        if k == 0:
            person.turn(way).to(poses.REEL, 1).to(poses.LIE, 4).hold(poses.LIE, _part(start, end, 0.9))
            person.to(poses.CROUCH, 3).hold(poses.CROUCH, end).leave(way, 0.9)
        elif k == 1 and scene.random.random() < 0.5:
            person.to(poses.COWER, 2).hold(poses.COWER, end).leave(way)
        else:
            person.leave(way, QUICK + 0.5, runs=True, until=end).leave(way)
        scene.add(person)
    return "a man fires a gun, one person falls and others run away"


def shoplifting(scene: stage.Scene, start: int, end: int) -> str:
    """Somebody at a shelf hides goods under the coat and hurries away."""
    left, right, low, high = scene.opening()
    wall, side = scene.place.wall, scene.side()
    x, way = (left + right) / 2, 0.0 if side > 0 else np.pi
    thief = scene.script("hooded" if scene.random.random() < 0.5 else "person").arrive(x, wall - 0.75, way, start)
    off = _part(start, end, 0.8)
    each, k = max(3, (off - start) // 6), 0
    while thief.now < min(off, scene.num_frames):
        begun = thief.now
        thief.turn(np.pi / 2 + 0.25 * side).to(poses.REACH, max(1, each // 3)).hold(poses.REACH, begun + each)
        colour = tuple(scene.random.uniform(60, 225, 3))
        shelf = x + 0.4 * (k % 3 - 1)
        scene.extras.append(effects.Thing(shelf, 1.25, wall - 0.12, 0.3, 0.34, colour, 0, thief.now))
        thief.take("bag").to(poses.HIDE, 2).turn(np.pi / 2 - 0.9 * side).hold(poses.HIDE, min(off, begun + 2 * each))
        thief.take("")
        k += 1
    thief.leave(way, QUICK * 0.7, runs=True, until=end)
    scene.add(thief.leave(way))
    return "a person takes goods from the shelf and hides them under the coat"


def stealing(scene: stage.Scene, start: int, end: int) -> str:
    """A bag is snatched from the ground beside its owner; the owner runs after the thief."""
    x, z = scene.spot()
    side = scene.side()
    way = 0.0 if side > 0 else np.pi
    grab, seen = _part(start, end, 0.3), _part(start, end, 0.5)
    scene.extras.append(
        effects.Thing(
            x - 0.5 * side, 0, z - 0.1, 0.42, 0.5, (150.0, 62, 44), 0, grab, float(scene.place.light(x, z).mean())
        )
    )
    owner = scene.script()
    owner.x, owner.z = x + 0.5 * side, z + 0.15
    owner.turn(way).hold(lambda t: poses.pose(arm_r=0.9 + 0.15 * np.sin(t * 0.4), elbow_r=1.4, nod=0.3), seen)
    owner.leave(way + np.pi, 2.6, runs=True, until=end).hold(poses.RAISE, end + 6).leave(way + np.pi, 1.2)
    thief = scene.script("hooded").arrive(x - 1.0 * side, z - 0.2, way, start)
    thief.to(poses.STOOP, max(2, (grab - start) // 2)).hold(poses.STOOP, grab).take("bag")
    thief.leave(way + np.pi, QUICK + 0.4, runs=True, until=end)
    scene.add(owner, thief.leave(way + np.pi))
    return "a thief snatches a bag and runs away while the owner chases him"


def vandalism(scene: stage.Scene, start: int, end: int) -> str:
    """Somebody smashes a window with a bar, or sprays paint on the wall."""
    left, right, low, high = scene.opening()
    wall, side = scene.place.wall, scene.side()
    x, way = (left + right) / 2, 0.0 if side > 0 else np.pi
    off = _part(start, end, 0.82)
    if scene.random.random() < 0.5:
        vandal = scene.script("hooded").take("bar").arrive(x, wall - 0.8, way, start).turn(np.pi / 2)
        vandal.cycle([poses.RAISE, poses.RAISE, poses.STRIKE], 1, off)
        for share in (0.15, 0.4, 0.6):
            _crack(scene, _part(start, end, share), left, right, low, high)
        said = "a person smashes a window with a bar and vandalises the building"
    else:
        vandal = scene.script("hooded").arrive(x - 0.8 * side, wall - 0.7, way, start).turn(np.pi / 2)
        colour = tuple(scene.random.permutation([225.0, 60, 90]))
        last = None
        for t in range(start, off):
            part = (t - start) / max(1, off - start)
            spot = (
                x + side * 2.2 * (part - 0.4),
                1.25 + 0.55 * np.sin(17 * part) * (0.6 + 0.4 * np.sin(7 * part)),
                wall,
            )
            vandal.x = x + side * (2.2 * (part - 0.4) - 0.25)
            vandal.hold(poses.pose(arm_r=1.6 + 0.6 * np.sin(17 * part), elbow_r=0.0, spread=0.1), t + 1)
            if last:
                scene.paint(t, [(last, spot, 0.2)], colour)
            last = spot
        said = "a person sprays graffiti on the wall and vandalises the building"
    vandal.leave(way, QUICK, runs=True, until=end)
    scene.add(vandal.leave(way))
    return said


def _crack(
    scene: stage.Scene, at: int, left: float | int, right: float | int, low: float | int, high: float | int
) -> None:
    """White cracks from one point of a pane."""
    x, y = scene.random.uniform(left + 0.2, right - 0.2), scene.random.uniform(low + 0.3, high - 0.3)
    wall, lines = scene.place.wall, []
    for angle in scene.random.uniform(0, 2 * np.pi, 8):
        r = scene.random.uniform(0.3, 0.7)
        tip = (np.clip(x + r * np.cos(angle), left, right), np.clip(y + r * np.sin(angle), low, high), wall)
        lines.append(((x, y, wall), tip, 0.05))
    lines.append(((x, y, wall), (x, y + 0.01, wall), 0.3))
    scene.paint(at, lines, (214.0, 220, 224), 0.85)
    bits = frozenset((at, at + 1))
    scene.extras.append(effects.Flash(x, y, wall - 0.1, bits, 0.35, (90.0, 95, 100)))
