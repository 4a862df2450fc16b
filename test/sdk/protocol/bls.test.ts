import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PublicKey, SecretKey, Signature } from '@chainsafe/blst'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { toUtf8Bytes } from 'ethers'
import * as bls from '../../../sdk/protocol/bls.ts'
import { FP_ORDER } from '../../../sdk/protocol/fp.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { BlsHarness__factory, PrecompileHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { randomBytes } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { flagged, g1Bytes, outsidePoint, withoutPoint } from '../../support/wild-points.ts'

const chain = await createChain()
const library = await new BlsHarness__factory(chain.signer(0)).deploy()
const precompiles = await new PrecompileHarness__factory(chain.signer(0)).deploy()

const ZERO = new Uint8Array(128)
const G1 = bls12_381.G1.Point
const point = (k: bigint) => (k === 0n ? ZERO : g1Bytes(G1.BASE.multiply(k).toAffine()))
const keyOf = (secret: SecretKey) => bls.g1Uncompress(secret.toPublicKey().toBytes())
const sign = (secret: SecretKey, message: Uint8Array) => bls.g2Uncompress(secret.sign(message).toBytes())

/** RFC 9380, appendix J.10.1: BLS12381G2_XMD:SHA-256_SSWU_RO_. */
const OFFICIAL_DOMAIN = 'QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_'
const OFFICIAL = [
  {
    message: '',
    point: [
      '0141ebfbdca40eb85b87142e130ab689c673cf60f1a3e98d69335266f30d9b8d4ac44c1038e9dcdd5393faf5c41fb78a',
      '05cb8437535e20ecffaef7752baddf98034139c38452458baeefab379ba13dff5bf5dd71b72418717047f5b0f37da03d',
      '0503921d7f6a12805e72940b963c0cf3471c7b2a524950ca195d11062ee75ec076daf2d4bc358c4b190c0c98064fdd92',
      '12424ac32561493f3fe3c260708a12b7c620e7be00099a974e259ddc7d1f6395c3c811cdd19f1e8dbf3e9ecfdcbab8d6',
    ],
  },
  {
    message: 'abc',
    point: [
      '02c2d18e033b960562aae3cab37a27ce00d80ccd5ba4b7fe0e7a210245129dbec7780ccc7954725f4168aff2787776e6',
      '139cddbccdc5e91b9623efd38c49f81a6f83f175e80b06fc374de9eb4b41dfe4ca3a230ed250fbe3a2acf73a41177fd8',
      '1787327b68159716a37440985269cf584bcb1e621d3a7202be6ea05c4cfe244aeb197642555a0645fb87bf7466b2ba48',
      '00aa65dae3c8d732d10ecd2c50f8a1baf3001578f71c694e03866e9f3d49ac1e1ce70dd94a733534f106d4cec0eddd16',
    ],
  },
  {
    message: 'abcdef0123456789',
    point: [
      '121982811d2491fde9ba7ed31ef9ca474f0e1501297f68c298e9f4c0028add35aea8bb83d53c08cfc007c1e005723cd0',
      '190d119345b94fbd15497bcba94ecf7db2cbfd1e1fe7da034d26cbba169fb3968288b3fafb265f9ebd380512a71c3f2c',
      '05571a0f8d3c08d094576981f4a3b8eda0a8e771fcdcc8ecceaf1356a6acf17574518acb506e435b639353c2e14827c8',
      '0bb5e7572275c567462d91807de765611490205a941a5a6af3b1691bfe596c31225d3aabdf15faff860cb4ef17c7c3be',
    ],
  },
  {
    message: `q128_${'q'.repeat(128)}`,
    point: [
      '19a84dd7248a1066f737cc34502ee5555bd3c19f2ecdb3c7d9e24dc65d4e25e50d83f0f77105e955d78f4762d33c17da',
      '0934aba516a52d8ae479939a91998299c76d39cc0c035cd18813bec433f587e2d7a4fef038260eef0cef4d02aae3eb91',
      '14f81cd421617428bc3b9fe25afbb751d934a00493524bc4e065635b0555084dd54679df1536101b2c979c0152d09192',
      '09bcccfa036b4847c9950780733633f13619994394c23ff0b32fa6b795844f4a0673e20282d07bc69641cee04f5e5662',
    ],
  },
  {
    message: `a512_${'a'.repeat(512)}`,
    point: [
      '01a6ba2f9a11fa5598b2d8ace0fbe0a0eacb65deceb476fbbcb64fd24557c2f4b18ecfc5663e54ae16a84f5ab7f62534',
      '11fca2ff525572795a801eed17eb12785887c7b63fb77a42be46ce4a34131d71f7a73e95fee3f812aea3de78b4d01569',
      '0b6798718c8aed24bc19cb27f866f1c9effcdbf92397ad6448b5c9db90d2b9da6cbabf48adc1adf59a1a28344e79d57e',
      '03a47f8e6d1763ba0cad63d6114c0accbef65707825a511b251a660a9b3994249ae4e63fac38b23da0c398689ee2ab52',
    ],
  },
]

describe('G1', () => {
  it('behavior: sum, negative and compression agree with the twin and with noble', async () => {
    for (const [a, b] of [
      [1n, 1n],
      [2n, 3n],
      [5n, 0n],
      [0n, 0n],
      [123456789n, 987654321n],
    ] as const) {
      const sum = point(a + b)
      assert.equal(await library.g1Add(point(a), point(b)), toHex(sum))
      assert.deepEqual(bls.g1Add(point(a), point(b)), sum)
      const negative = toHex(bls.g1Negate(sum))
      assert.equal(await library.g1Negate(sum), negative)
      assert.equal(await library.g1Add(sum, negative), toHex(ZERO))
      const compressed = a + b === 0n ? G1.ZERO.toBytes() : G1.BASE.multiply(a + b).toBytes()
      assert.equal(await library.g1Compress(sum), toHex(compressed))
      assert.deepEqual(bls.g1Compress(sum), compressed)
      const y = bls.g1YOf(compressed)
      assert.equal(await library.g1Decompress(compressed, y), toHex(sum))
      assert.deepEqual(bls.g1Decompress(compressed, y), sum)
      assert.deepEqual(bls.g1Uncompress(compressed), sum)
      assert.equal(await library.isInfinity(sum), a + b === 0n)
    }
  })

  it('error: another y, no curve, other flags, other lengths are not decompressed', async () => {
    const good = G1.BASE.multiply(7n)
    const compressed = good.toBytes()
    const { y } = good.toAffine()
    const bytes = (value: bigint) => g1Bytes({ x: 0n, y: value }).slice(64)
    const refuse = async (encoded: Uint8Array, ordinate: Uint8Array, name: string) => {
      await revertsWith(library.g1Decompress(encoded, ordinate), library, name)
      assert.throws(() => bls.g1Decompress(encoded, ordinate), { code: 'BAD_REQUEST' })
    }
    await refuse(compressed, bytes(FP_ORDER - y), 'PointMismatch')
    await refuse(compressed, bytes(y + 1n), 'PointNotOnCurve')
    await refuse(compressed, bytes(y + FP_ORDER), 'PointNotOnCurve')
    await refuse(flagged(good.toAffine().x + FP_ORDER, 0x80), bytes(y), 'PointNotOnCurve')
    await refuse(flagged(good.toAffine().x, 0), bytes(y), 'PointMismatch')
    await refuse(flagged(good.toAffine().x, 0xc0), bytes(y), 'PointMismatch')
    await refuse(flagged(0n, 0xe0), bytes(0n), 'PointMismatch')
    await refuse(flagged(0n, 0xc0), bytes(1n), 'PointMismatch')
    await refuse(compressed.slice(1), bytes(y), 'WrongPointLength')
    await refuse(compressed, bytes(y).slice(1), 'WrongPointLength')
    await revertsWith(library.g1Compress(ZERO.slice(1)), library, 'WrongPointLength', [127n])
  })

  it('behavior: what is well-formed, what has a point, what is in the subgroup', async () => {
    const { x } = G1.BASE.toAffine()
    const cases: [Uint8Array, boolean][] = [
      [G1.BASE.toBytes(), true],
      [flagged(0n, 0xc0), true],
      [flagged(0n, 0xe0), false],
      [flagged(1n, 0xc0), false],
      [flagged(x, 0), false],
      [flagged(FP_ORDER, 0x80), false],
      [flagged(FP_ORDER - 1n, 0x80), true],
      [withoutPoint(), true],
    ]
    for (const [encoded, wellFormed] of cases) {
      assert.equal(await library.isCanonicalCompressed(encoded), wellFormed)
      assert.equal(bls.isCanonicalCompressed(encoded), wellFormed)
    }
    for (const [encoded, found] of [
      [G1.BASE.toBytes(), true],
      [flagged(0n, 0xc0), true],
      [withoutPoint(), false],
    ] as const) {
      assert.equal(await library.hasPoint(encoded), found)
      assert.equal(bls.hasPoint(encoded), found)
    }
    assert.throws(() => bls.g1YOf(withoutPoint()), { code: 'BAD_REQUEST' })
    for (const k of [1n, 2n, 3n, 99999n, FP_ORDER % G1.Fn.ORDER]) {
      assert.equal(await library.isInG1Subgroup(point(k)), true)
      assert.equal(await library.isG1OnCurve(point(k)), true)
    }
    for (let index = 0; index < 4; index++) {
      const wild = g1Bytes(outsidePoint(index))
      assert.equal(await library.isG1OnCurve(wild), true)
      assert.equal(await library.isInG1Subgroup(wild), false)
      assert.equal(bls.isInG1Subgroup(wild), false)
      assert.deepEqual(bls.g1YOf(bls.g1Compress(wild)), wild.slice(64))
    }
    assert.equal(await library.isG1OnCurve(ZERO), false)
  })

  it('error: starved of gas, the subgroup check fails instead of answering', async () => {
    const wild = g1Bytes(outsidePoint(1))
    const gas = await library.isInG1Subgroup.estimateGas(point(5n))
    assert.ok(gas < 400_000n, `${gas} gas`)
    for (let share = 1n; share < 10n; share++)
      for (const one of [point(5n), wild])
        await assert.rejects(
          library.isInG1Subgroup(one, { gasLimit: 21_000n + ((gas - 21_000n) * share) / 12n }),
        )
  })
})

describe('hashToG2', () => {
  it('behavior: gives the points of RFC 9380, appendix J.10.1', async () => {
    for (const { message, point: words } of OFFICIAL) {
      const expected = `0x${words.map((word) => word.padStart(128, '0')).join('')}`
      const domain = toUtf8Bytes(OFFICIAL_DOMAIN)
      assert.equal(await library.hashToG2(toUtf8Bytes(message), domain), expected)
      assert.equal(toHex(bls.hashToG2(toUtf8Bytes(message), OFFICIAL_DOMAIN)), expected)
      assert.equal(
        await library.expandMessage(toUtf8Bytes(message), domain),
        toHex(bls.expandMessage(toUtf8Bytes(message), OFFICIAL_DOMAIN)),
      )
    }
  })

  it('behavior: a digest is hashed under the domain of signatures, as other libraries do', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const digest = randomBytes(32, seed)
      const expected = toHex(bls.hashToG2(digest))
      assert.equal(await library.hashDigestToG2(digest), expected)
      assert.equal(await library.hashToG2(digest, toUtf8Bytes(bls.SIGNATURE_DOMAIN)), expected)
    }
  })
})

describe('verify', () => {
  const message = randomBytes(32, 77)
  const secrets = Array.from({ length: 4 }, (_, i) => SecretKey.fromKeygen(randomBytes(32, 100 + i)))

  it('behavior: a signature and an aggregate of an independent library verify on chain', async () => {
    for (const secret of secrets) {
      assert.equal(await library.verify(keyOf(secret), message, sign(secret, message)), true)
      assert.equal(bls.verify(keyOf(secret), message, sign(secret, message)), true)
    }
    const aggregate = bls.g2Uncompress(
      Signature.fromBytes(
        secrets
          .map((secret) => secret.sign(message))
          .reduce((sum, one) => addSignatures(sum, one))
          .toBytes(),
      ).toBytes(),
    )
    const key = secrets.map(keyOf).reduce((sum, one) => bls.g1Add(sum, one))
    assert.equal(await library.verify(key, message, aggregate), true)
    assert.equal(bls.verify(key, message, aggregate), true)
    assert.deepEqual(
      bls.g1Compress(key),
      Uint8Array.from(
        PublicKey.fromBytes(
          secrets.map((secret) => secret.toPublicKey().toBytes()).reduce(addKeys),
        ).toBytes(),
      ),
    )
  })

  it('behavior: another message, key or signature does not verify', async () => {
    const [one, two] = secrets
    assert.ok(one !== undefined && two !== undefined)
    const signature = sign(one, message)
    const infinity = new Uint8Array(256)
    for (const [key, digest, claim] of [
      [keyOf(one), randomBytes(32, 78), signature],
      [keyOf(two), message, signature],
      [keyOf(one), message, sign(two, message)],
      [keyOf(one), message, infinity],
      [bls.g1Negate(keyOf(one)), message, signature],
    ] as const) {
      assert.equal(await library.verify(key, digest, claim), false)
      assert.equal(bls.verify(key, digest, claim), false)
    }
  })

  it('error: infinity as key, keys and signatures outside of curve or subgroup, wrong lengths', async () => {
    const [secret] = secrets
    assert.ok(secret !== undefined)
    const key = keyOf(secret)
    const signature = sign(secret, message)
    const spoiled = signature.slice()
    spoiled[255] = (spoiled[255] ?? 0) ^ 1
    await revertsWith(library.verify(ZERO, message, new Uint8Array(256)), library, 'InfinityKey')
    await revertsWith(library.verify(key.slice(1), message, signature), library, 'WrongPointLength', [127n])
    await revertsWith(library.verify(key, message, signature.slice(1)), library, 'WrongPointLength', [255n])
    const wild = g1Bytes(outsidePoint(0))
    await revertsWith(library.verify(wild, message, signature), library, 'PrecompileFailed', [15n])
    await revertsWith(library.verify(key, message, spoiled), library, 'PrecompileFailed', [15n])
    for (const [a, b] of [
      [ZERO, signature],
      [key.slice(1), signature],
      [wild, signature],
      [key, spoiled],
    ] as const)
      assert.throws(() => bls.verify(a, message, b), { code: 'BAD_REQUEST' })
  })

  it('error: starved of gas, it fails instead of answering', async () => {
    const [secret] = secrets
    assert.ok(secret !== undefined)
    const arguments_ = [keyOf(secret), message, sign(secret, message)] as const
    const gas = await library.verify.estimateGas(...arguments_)
    for (let share = 1n; share < 10n; share++)
      await assert.rejects(
        library.verify(...arguments_, { gasLimit: 40_000n + ((gas - 40_000n) * share) / 12n }),
      )
  })
})

describe('precompiles', () => {
  it('behavior: the generators are those of the curve', async () => {
    const [g1, negative, g2] = await precompiles.generators()
    assert.equal(g1, toHex(point(1n)))
    assert.equal(negative, toHex(bls.g1Negate(point(1n))))
    assert.equal(g2, toHex(bls.g2Uncompress(bls12_381.G2.Point.BASE.toBytes())))
  })

  it('error: an address that answers nothing is not a precompile', async () => {
    const pair = toHex(point(1n)) + toHex(point(1n)).slice(2)
    await revertsWith(precompiles.call(0x1ff, pair, 128, 10_000), precompiles, 'PrecompileFailed', [0x1ffn])
    await revertsWith(precompiles.call(0x0b, pair, 256, 10_000), precompiles, 'PrecompileFailed', [0x0bn])
    await revertsWith(precompiles.call(0x0b, '0x', 128, 10_000), precompiles, 'PrecompileFailed', [0x0bn])
    await revertsWith(
      precompiles.call(0x0b, pair, 128, 100_000, { gasLimit: 120_000 }),
      precompiles,
      'PrecompileStarved',
    )
    assert.equal(await precompiles.call(0x0b, pair, 128, 10_000), toHex(point(2n)))
  })
})

/** Sum of two signatures, by noble. */
function addSignatures(a: Signature, b: Signature): Signature {
  const { Point } = bls12_381.G2
  return Signature.fromBytes(Point.fromBytes(a.toBytes()).add(Point.fromBytes(b.toBytes())).toBytes())
}

function addKeys(a: Uint8Array, b: Uint8Array): Uint8Array {
  return fromHex(toHex(G1.fromBytes(a).add(G1.fromBytes(b)).toBytes()))
}
