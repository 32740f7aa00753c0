"""Where a scene plays: a camera, strips to walk and drive on, and the empty picture, cast ray by ray from a seed."""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8

from gvvad_jax.synthesis.scenes import camera as cameras
from gvvad_jax.synthesis.scenes import people

KINDS = ("street", "far street", "car park", "square", "houses", "station", "shop", "hall")
INDOOR = ("shop", "hall")
FINE = 2  # rays a pixel, one above the other


@dataclasses.dataclass(eq=False)
class Place:
    """Depths in metres; light multiplies colours."""

    kind: str
    night: bool
    camera: cameras.Camera
    wall: float | int  # depth of the facade or back wall
    walk: list[tuple]  # strips for walkers; the first is where things happen
    road: tuple | None
    picture: UInt8[np.ndarray, "240 320 3"]
    shadow: people.Shadow
    ambient: Float[np.ndarray, " 3"]
    lamps: list[tuple]  # x, z, strength
    openings: list[tuple]  # windows and doors at the ground: x from, to, y from, to
    tint: Float[np.ndarray, " 3"]
    bays: list[tuple]  # parked: x, z, heading

    @property
    def is_indoor(self) -> bool:
        """Whether there is a ceiling above."""
        return self.kind in INDOOR

    def light(self, x, z) -> Float[np.ndarray, "*places 3"]:
        """What a body's colours are multiplied with at each place."""
        x, z = np.asarray(x, np.float64), np.asarray(z, np.float64)
        level = np.tile(self.ambient, (*x.shape, 1))
        for at, depth, strength in self.lamps:
            near = strength * np.exp(-((x - at) ** 2 + (z - depth) ** 2) / 14)
            level += near[..., None] * np.array([1.0, 0.85, 0.6])
        return np.minimum(level, 1.05).astype(np.float32)


def draw(random: np.random.Generator, kind: str, night: bool, style: str, view: str = "") -> Place:
    """A place of one of KINDS; `view` may be `high` or `low`, else drawn."""
    height, pitch = {"high": (6.2, 0.5), "low": (2.6, 0.16)}.get(view, (4.2, 0.33))
    height, pitch = height * random.uniform(0.88, 1.12), pitch + random.uniform(-0.04, 0.04)
    focal, yaw = random.uniform(250, 310), random.uniform(-0.42, 0.42)
    near, road, bays = 5.5, None, []
    if kind == "street":
        width = random.uniform(3.0, 4.0)
        road = (near + width + 0.5, near + width + 6.5)
        walk = [(near, near + width), (road[1] + 0.5, road[1] + 3.0)]
        wall = road[1] + 3.2
    elif kind == "far street":
        road = (near + 0.3, near + 5.3)
        walk = [(road[1] + 0.4, road[1] + 3.2)]
        wall, focal = road[1] + 3.5, random.uniform(285, 350)
    elif kind == "houses":
        walk = [(near + 1.5, near + 4.5)]
        wall, focal = near + random.uniform(5.6, 6.6), random.uniform(290, 350)
    elif kind == "car park":
        walk, road = [(near, near + 3.2)], (near + 3.6, near + 8.0)
        wall = road[1] + random.uniform(6.5, 9)
        bays = [(-18 + 2.7 * i, road[1] + 2.6, float(np.pi / 2 * random.choice([-1, 1]))) for i in range(14)]
    elif kind == "square":
        walk, wall = [(near + 1, near + 6)], near + random.uniform(7, 9)
    elif kind == "station":
        walk, wall = [(near, near + 3.6)], near + random.uniform(9, 10)
    else:
        height, pitch, focal = 2.9 * random.uniform(0.95, 1.1), random.uniform(0.22, 0.31), random.uniform(235, 285)
        near = 3.6
        yaw *= 0.7
        walk, wall = [(near, near + 3.4)], near + random.uniform(3.9, 4.8)
    camera = cameras.Camera(height, pitch, yaw, focal)
    if kind in INDOOR:
        night = False
    lamps, ambient, shadow = [], np.full(3, 1.0), people.Shadow(0.0, 0.0, 0.3)
    if night:
        ambient = np.array([0.3, 0.33, 0.42]) * random.uniform(0.85, 1.25)
        first, step = random.uniform(-3, 3), random.uniform(5, 8)
        lamps = [(first + step * i, walk[0][1] - 0.3, random.uniform(0.7, 0.95)) for i in range(-4, 5)]
    elif kind in INDOOR or random.random() < 0.35:  # under a roof, or overcast
        ambient = np.full(3, random.uniform(0.8, 0.95))
    else:
        shadow = people.Shadow(random.choice([-1, 1]) * random.uniform(0.4, 1.2), random.uniform(-0.4, 0.5), 0.42)
        ambient = np.array([1.0, 0.97, 0.92])
    tint = np.array([1.1, 1.0, 0.9]) if style == "synthetic" else np.array([0.98, 1.0, 0.99])
    place = Place(
        kind, night, camera, wall, walk, road, np.zeros((240, 320, 3), np.uint8), shadow, ambient, lamps, [], tint, bays
    )
    _paint(place, random, style)
    return place


def _paint(place: Place, random: np.random.Generator, style: str) -> None:
    """Fills in the picture and the openings."""
    rays = place.camera.rays(FINE)
    eye, saturation = place.camera.height, 0.2 if style == "real" else 0.5
    with np.errstate(divide="ignore"):
        to_ground = np.where(rays[..., 1] < -1e-3, -eye / rays[..., 1], np.inf).astype(np.float32)
        to_wall = (place.wall / np.maximum(rays[..., 2], 1e-3)).astype(np.float32)
    is_wall = to_wall < to_ground
    x = np.where(is_wall, to_wall, np.minimum(to_ground, 200)) * rays[..., 0]
    y = eye + to_wall * rays[..., 1]
    z = np.minimum(to_ground, 200) * rays[..., 2]
    image = np.empty((*x.shape, 3), np.float32)
    ground = ~is_wall
    image[ground] = _ground(place, random, x[ground], z[ground], saturation, style)
    image[is_wall] = _wall(place, random, x[is_wall], y[is_wall], rays[is_wall][:, 1], saturation)
    rough = random.normal(0, 1, (128, 128)).astype(np.float32)
    soft = (rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1) + np.roll(rough, (1, 1), (0, 1))) / 2
    depth = np.where(is_wall, y, z)
    grain = soft[(depth * 9).astype(int) % 128, (x * 9).astype(int) % 128]
    blotch = soft[(depth * 1.3).astype(int) % 128, (x * 1.3).astype(int) % 128]
    strength = 1.0 if style == "real" else 0.5
    image *= 1 + strength * (0.035 * grain + 0.02 * blotch)[..., None]
    # Corners between ground and wall get less light.
    image *= (1 - 0.3 * np.exp(-np.abs(np.where(is_wall, y, place.wall - z)) / 0.5))[..., None]
    image *= place.tint.astype(np.float32)
    rows = (image[0::FINE] + image[1::FINE]) / FINE
    rows[:, 1:-1] = 0.6 * rows[:, 1:-1] + 0.2 * (rows[:, :-2] + rows[:, 2:])  # a lens, and columns have one ray each
    place.picture = np.clip(rows, 20, 235).astype(np.uint8)


def _tone(
    random: np.random.Generator, low: float | int, high: float | int, saturation: float | int
) -> Float[np.ndarray, " 3"]:
    wheel = np.cos(random.uniform(0, 2 * np.pi) - np.array([0, 2.1, 4.2]))
    return random.uniform(low, high) * (1 + 0.4 * saturation * wheel)


def _ground(place: Place, random: np.random.Generator, x, z, saturation: float | int, style: str):
    """Colour of each point of the ground."""
    asphalt, slab = _tone(random, 70, 105, 0.15), _tone(random, 120, 160, 0.4 * saturation)
    grass = np.array([86.0, 112, 62]) * random.uniform(0.8, 1.15)
    edge = random.choice(3) if place.kind not in INDOOR else 1
    base = (
        [slab, asphalt, grass][0 if place.kind in ("square", "station") else edge]
        if place.kind != "car park"
        else asphalt
    )
    edges, colours = [], [base]
    if place.road and place.kind != "car park":
        strips = [(a - 0.4, b + 0.4, slab) for a, b in place.walk] + [(*place.road, asphalt)]
        for low, high, colour in sorted(strips, key=lambda strip: strip[0]):
            low = max(low, edges[-1]) if edges else low
            edges += [low, high]
            colours += [colour, base]
    if place.kind == "station":
        end = place.walk[0][1]
        edges, colours = (
            [end + 0.1, end + 0.35, end + 0.7],
            [slab, np.array([205.0, 178, 70]), slab * 1.1, np.array([62.0, 58, 54])],
        )
    colour = np.array(colours)[np.searchsorted(np.array(edges), z)].astype(np.float32)
    slabs = random.uniform(0.5, 1.0)
    if place.kind in INDOOR:
        tile, other = _tone(random, 130, 185, 0.5 * saturation), random.uniform(0.82, 0.97)
        check = ((x // slabs).astype(int) + (z // slabs).astype(int)) % 2
        colour = np.where(check[:, None] == 0, tile, tile * other).astype(np.float32)
    on_slab = np.zeros(x.shape, bool)
    if place.kind in ("square", "station"):
        on_slab = z < (place.walk[0][1] if place.kind == "station" else place.wall)
    elif place.kind in ("street", "far street", "houses"):
        for low, high in place.walk:
            on_slab |= (z > low - 0.4) & (z < high + 0.4)
    joint = ((x % slabs) < 0.05) | ((z % slabs) < 0.05)
    colour[on_slab & joint] *= 0.84
    white = np.array([188.0, 188, 182])
    if place.road and place.kind != "car park":
        low, high = place.road
        middle = (np.abs(z - (low + high) / 2) < 0.07) & ((x % 3.0) < 1.6)
        colour[middle] = white
        for border in (low, high):
            colour[np.abs(z - border) < 0.1] = np.array([165.0, 162, 155])
        if random.random() < 0.5:  # a crossing
            at = random.uniform(-5, 3)
            colour[(x > at) & (x < at + 2.6) & (z > low + 0.2) & (z < high - 0.2) & ((z % 1.0) < 0.5)] = white
    if place.kind == "car park":
        far = place.road[1] if place.road else 0
        colour[(z > far) & (z < far + 5) & (((x + 1.35) % 2.7) < 0.12)] = white
        colour[np.abs(z - far) < 0.05] = white
        colour[(z < place.walk[0][1]) & joint] *= 0.93
    if place.kind == "station":
        end = place.walk[0][1]
        rail = (np.abs(z - end - 1.9) < 0.07) | (np.abs(z - end - 3.3) < 0.07)
        colour[(z > end + 1.3) & (z < end + 4) & ((x % 0.7) < 0.25)] *= 0.75
        colour[rail] = np.array([140.0, 140, 142])
    if place.night:
        level = np.tile(place.ambient, (len(x), 1)).astype(np.float32)
        for at, depth, strength in place.lamps:
            level += np.exp(-((x - at) ** 2 + (z - depth) ** 2) / 12)[:, None] * strength * np.array([1, 0.85, 0.6])
        colour *= np.minimum(level, 1.1)
    elif place.kind in INDOOR:
        colour *= (0.85 + 0.15 * np.cos(x * 1.7) * np.cos(z * 2.0))[:, None]
    else:
        colour *= place.ambient.astype(np.float32)
    return colour


def _wall(place: Place, random: np.random.Generator, x, y, up, saturation: float | int):
    """Colour of each point of facade, sky or room."""
    if place.kind in INDOOR:
        return _room(place, random, x, y, saturation)
    if place.night:
        low, high = np.array([24.0, 26, 38]), np.array([40.0, 40, 52])
    elif place.shadow.dark > 0.4:
        low, high = np.array([120.0, 160, 208]), np.array([198.0, 212, 222])
    else:
        low, high = np.array([180.0, 184, 188]), np.array([206.0, 208, 208])
    part = np.clip(up * 2.2, 0, 1)[:, None]
    colour = (high + (low - high) * part).astype(np.float32)
    borders = [-60.0]
    while borders[-1] < 60:
        borders.append(borders[-1] + random.uniform(6, 13))
    count = len(borders)
    houses = place.kind == "houses"
    heights = random.uniform(4.6, 6.5, count) if houses else random.uniform(6, 14, count)
    if place.kind == "station":
        heights[:] = random.uniform(3.4, 4.4)
    if place.kind == "car park":
        heights = np.where(random.random(count) < 0.5, random.uniform(1.2, 2, count), heights)
    paints = np.array([_tone(random, 85, 185, saturation) for _ in range(count)])
    glass = np.array([66.0, 78, 90])
    number = np.clip(np.searchsorted(np.array(borders), x) - 1, 0, count - 2)
    own = y < heights[number]
    facade = paints[number].astype(np.float32)
    brick = random.random(count) < 0.5
    facade[brick[number] & ((y % 0.28) < 0.05)] *= 0.88
    local = x - np.array(borders)[number]
    pitch, floor = random.uniform(1.9, 3.0, count)[number], 3.1
    place_in = local % pitch - pitch / 2
    storey = y % floor
    upper = y > floor
    window = (np.abs(place_in) < 0.5) & (storey > 0.9) & (storey < 2.3) & upper & (y < heights[number] - 0.4)
    frame = (np.abs(place_in) < 0.6) & (storey > 0.8) & (storey < 2.4) & upper & (y < heights[number] - 0.3)
    lit = np.zeros(x.shape, bool)
    if place.kind != "station":
        facade[frame] = facade[frame] * 0.5 + 90
        shade = 0.75 + 0.5 * ((np.floor(local / pitch) * 7 + np.floor(y / floor) * 13 + number * 5) % 5) / 5
        facade[window] = (glass * shade[:, None])[window]
        lit |= window & (((np.floor(local / pitch) * 11 + np.floor(y / floor) * 3 + number * 7) % 4) == 0)
    facade[(y > heights[number] - 0.3)] *= 0.7
    facade[local < 0.12] *= 0.75
    # Ground floor: openings with frames, a sign above some.
    reach = place.camera.reach(place.wall, 0.0)
    at, last = -28.0, 28.0
    ground = np.flatnonzero(y < 3.0)  # pixels of the ground floor: each opening looks at these alone
    gx, gy = x[ground], y[ground]
    while at < last:
        wide = random.uniform(1.1, 1.4) if houses else random.uniform(1.0, 3.2)
        shop = wide > 2.0 and not houses
        low, high = (0.0, 2.1) if random.random() < 0.35 and not shop else (0.75, 2.3)
        if place.kind != "car park" or random.random() < 0.4:
            tones = [
                _tone(random, *limits) for limits in ((45, 85, 0.3), (50, 110, saturation), (80, 200, 1.5 * saturation))
            ]
            glows = random.random() < 0.6
            if reach[0] - 4 < at < reach[1] + 1:
                near = (gx > at - 0.3) & (gx < at + wide + 0.3)
                own_pixels, ox, oy = ground[near], gx[near], gy[near]
                border = (ox > at - 0.1) & (ox < at + wide + 0.1) & (oy > low - 0.1) & (oy < high + 0.1)
                inner = (ox > at) & (ox < at + wide) & (oy > low) & (oy < high)
                facade[own_pixels[border]] = facade[own_pixels[border]] * 0.4 + 40
                facade[own_pixels[inner]] = tones[0 if low else 1]
                if low:
                    facade[own_pixels[inner & (np.abs((ox - at) % 1.1 - 0.55) < 0.04)]] *= 0.6
                    facade[own_pixels[inner & (((ox - at) * 0.8 + oy) % 1.7 < 0.25)]] += 22
                if shop:
                    sign = (ox > at - 0.2) & (ox < at + wide + 0.2) & (oy > 2.45) & (oy < 2.95)
                    facade[own_pixels[sign]] = tones[2]
                    lit[own_pixels[inner]] |= glows
            place.openings.append((at, at + wide, low, high))
        at += wide + random.uniform(1.2, 3.2)
    if houses:  # a fence and a hedge
        hedge = (y < 0.7) & (((x + 40) % 9) > 2.2)
        facade[hedge] = np.array([60.0, 92, 48])
        own |= hedge
    if place.night:
        level = np.tile(place.ambient * 0.8, (len(x), 1)).astype(np.float32)
        for spot, depth, strength in place.lamps:
            far = place.wall - depth
            level += (np.exp(-((x - spot) ** 2 + (y - 2.2) ** 2 + far**2) / 16) * strength)[:, None] * np.array(
                [1, 0.85, 0.6]
            )
        facade *= np.minimum(level, 1)
        facade[lit] = np.array([196.0, 172, 116]) * random.uniform(0.75, 1.0)
    else:
        facade *= place.ambient.astype(np.float32)
    colour[own] = facade[own]
    return colour


def _room(place: Place, random: np.random.Generator, x, y, saturation: float | int):
    """Back wall of a room: shelves with goods in a shop, doors and notices in a hall; a ceiling above 3.2 m."""
    colour = np.tile(_tone(random, 140, 195, 0.5 * saturation), (len(x), 1)).astype(np.float32)
    if place.kind == "shop":
        rows, packs = random.uniform(0.42, 0.55), random.uniform(0.14, 0.3)
        palette = np.array([_tone(random, 70, 190, 2 * saturation) for _ in range(64)])
        cell = (np.floor(x / packs) * 7 + np.floor(y / rows) * 31 + np.floor(x / 1.3) * 3).astype(int) % 64
        goods = (y > 0.2) & (y < 0.2 + 4 * rows) & ((x % 3.2) > 0.15)
        colour[goods] = palette[cell[goods]]
        colour[goods & (((y - 0.2) % rows) > rows * 0.75)] = np.array([60.0, 58, 56])
        colour[goods & ((x % packs) < 0.02)] *= 0.6
        place.openings += [(at + 0.2, at + 3.0, 0.5, 1.7) for at in np.arange(-9.6, 9.6, 3.2)]
        colour[(y > 2.3) & (y < 2.7)] = _tone(random, 90, 200, 1.5 * saturation)
    else:
        at = -10.0
        while at < 10:
            wide, low = random.uniform(1.0, 2.4), random.choice([0.0, 0.8])
            inner = (x > at) & (x < at + wide) & (y > low) & (y < 2.1)
            colour[(x > at - 0.1) & (x < at + wide + 0.1) & (y > low - 0.1) & (y < 2.2)] *= 0.6
            colour[inner] = _tone(random, 70, 150, saturation)
            place.openings.append((at, at + wide, low, 2.1))
            at += wide + random.uniform(1.0, 2.4)
    colour[y < 0.12] = 70
    ceiling = y > 3.2
    colour[ceiling] = np.array([176.0, 176, 172])
    colour[ceiling & (np.abs(x % 3.0 - 1.5) < 0.5) & (y < 3.7) & (y > 3.3)] = 228
    return colour * place.ambient.astype(np.float32)
