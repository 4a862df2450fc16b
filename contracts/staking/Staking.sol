// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IOperatorRegistry} from "../interfaces/IOperatorRegistry.sol";
import {IStaking, Pool, StakingParams} from "../interfaces/IStaking.sol";
import {ShareLib} from "../libraries/ShareLib.sol";
import {StakeAllocations} from "./StakeAllocations.sol";

/// @title Staking
/// @notice Holds all stake: two pools per operator, allocations to services, exits, slashes and rewards.
/// @dev
///   stake:  see `StakeAllocations`
///   shares: held --requestExit--> exiting --delay--> released (claimable) --withdraw--> paid
///             ^----cancelExit-------/
///   slash:  allocated or pending --> claimable of at most 4 beneficiaries (at most half) + treasury or burnable
///
/// Time is block numbers. Coins forced on this contract are never counted.
///
/// Invariants
/// 1. Sum of pools' tokens + claimable + burnable = accountedWei <= balance. (Exits lie in the pools until release.)
/// 2. The price of a share, (tokens + 1) / (shares + 1e6), falls only by slashing, within a generation.
/// 3. Per pool: sum of allocations = allocatedWei <= tokensWei; pending <= allocation. No wei is allocated twice.
/// 4. A slash takes exactly min(asked, allocation) from one pool and credits exactly that; a fault id works once.
/// 5. At most half of a slash goes to its beneficiaries.
/// 6. Nobody exits ahead of a fault: shares asked back stay slashable until release, and what a service counted on
///    before the request cannot leave within the delay.
/// 7. The snapshot of an epoch that has begun never changes, and the total of a service is the sum of its operators.
contract Staking is StakeAllocations {
    using SafeCast for uint256;

    uint256 private constant BPS = 10_000;
    uint256 private constant MAX_BENEFICIARY_BPS = 5_000;
    uint256 private constant MAX_BENEFICIARIES = 4;
    address private constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    /// @dev `baseBps` is what the commission was when `epoch` began: the step is measured from there.
    struct Commission {
        uint16 bps;
        uint16 baseBps;
        uint64 epoch;
    }

    IOperatorRegistry private immutable _registry;
    uint256 private immutable _maxCommissionStepBps;

    address private _treasury;
    uint256 private _accountedWei;
    uint256 private _burnableWei;
    uint256 private _exitCount;
    /// @dev Held shares, those in exits left out, by pool generation: a wiped pool voids them all at once.
    mapping(address operator => mapping(Pool pool => mapping(uint256 generation => mapping(address owner => uint256))))
        private _shares;
    mapping(uint256 exitId => Exit) private _exits;
    mapping(address account => uint256) private _claimable;
    mapping(address operator => Commission) private _commissions;
    mapping(address service => mapping(bytes32 faultId => bool)) private _punished;

    constructor(address owner_, IOperatorRegistry registry, IBeacon beacon, StakingParams memory params)
        Ownable(owner_)
        StakeAllocations(beacon, params.exitDelayEpochs)
    {
        require(params.maxCommissionStepBps <= BPS, InvalidParams());
        _registry = registry;
        _maxCommissionStepBps = params.maxCommissionStepBps;
        _treasury = params.treasury;
        emit TreasurySet(params.treasury);
    }

    modifier onlyOperator(address operator) {
        require(_registry.isOperator(operator), NotOperator(operator));
        _;
    }

    /// @inheritdoc IStaking
    function setTreasury(address treasury_) external onlyOwner {
        _treasury = treasury_;
        emit TreasurySet(treasury_);
    }

    /// @inheritdoc IStaking
    function stake() external payable returns (uint256 shares) {
        return _deposit(msg.sender, Pool.Self);
    }

    /// @inheritdoc IStaking
    function delegate(address operator) external payable returns (uint256 shares) {
        return _deposit(operator, Pool.Delegated);
    }

    /// @inheritdoc IStaking
    function requestExit(address operator, Pool pool, uint256 shares) external returns (uint256 exitId) {
        require(shares != 0, ZeroAmount());
        PoolState storage state = _pools[operator][pool];
        mapping(address owner => uint256) storage held = _shares[operator][pool][state.generation];
        require(shares <= held[msg.sender], InsufficientShares(shares, held[msg.sender]));

        exitId = ++_exitCount;
        uint64 releasableAtBlock = uint64(block.number + _exitDelayBlocks);
        held[msg.sender] -= shares;
        state.exitingShares += shares;
        _exits[exitId] = Exit(msg.sender, releasableAtBlock, pool, operator, state.generation, shares);
        _snapshotExits(operator, pool);
        emit ExitRequested(exitId, operator, msg.sender, pool, shares, releasableAtBlock);
    }

    /// @inheritdoc IStaking
    function cancelExit(uint256 exitId) external {
        Exit memory exit = _exits[exitId];
        require(exit.owner != address(0), ExitUnknown(exitId));
        require(exit.owner == msg.sender, NotExitOwner(exitId, msg.sender));

        delete _exits[exitId];
        PoolState storage state = _pools[exit.operator][exit.pool];
        // Shares of an earlier generation are void: there is nothing to give back.
        if (exit.generation == state.generation) {
            state.exitingShares -= exit.shares;
            _shares[exit.operator][exit.pool][exit.generation][msg.sender] += exit.shares;
            _snapshotPool(exit.operator, exit.pool);
        }
        emit ExitCancelled(exitId, exit.operator, msg.sender, exit.shares);
    }

    /// @inheritdoc IStaking
    function release(uint256 exitId) external returns (uint256 amountWei) {
        Exit memory exit = _exits[exitId];
        require(exit.owner != address(0), ExitUnknown(exitId));
        require(block.number >= exit.releasableAtBlock, TooEarly(block.number, exit.releasableAtBlock));

        delete _exits[exitId];
        PoolState storage state = _pools[exit.operator][exit.pool];
        if (exit.generation == state.generation) {
            amountWei = ShareLib.toWeiDown(exit.shares, state.tokensWei, state.shares);
            uint256 freeWei = state.tokensWei - state.allocatedWei;
            if (amountWei > freeWei) _takeAllocated(exit.operator, exit.pool, amountWei, freeWei);
            state.tokensWei -= uint128(amountWei);
            state.shares -= exit.shares;
            state.exitingShares -= exit.shares;
            _snapshotPool(exit.operator, exit.pool);
            _credit(exit.owner, amountWei);
        }
        emit ExitReleased(exitId, exit.operator, exit.owner, exit.shares, amountWei);
    }

    /// @inheritdoc IStaking
    function withdraw(address to) external returns (uint256 amountWei) {
        require(to != address(0), ZeroAddress());
        amountWei = _claimable[msg.sender];
        require(amountWei != 0, NothingToWithdraw(msg.sender));

        _claimable[msg.sender] = 0;
        _accountedWei -= amountWei;
        emit Withdrawn(msg.sender, to, amountWei);
        _send(to, amountWei);
    }

    /// @inheritdoc IStaking
    function burn() external returns (uint256 amountWei) {
        amountWei = _burnableWei;
        if (amountWei == 0) return 0;

        _burnableWei = 0;
        _accountedWei -= amountWei;
        emit Burned(amountWei);
        _send(BURN_ADDRESS, amountWei);
    }

    /// @inheritdoc IStaking
    function slash(
        address operator,
        uint256 amountWei,
        bytes32 faultId,
        address[] calldata beneficiaries,
        uint256[] calldata bps
    ) external returns (uint256 slashedWei) {
        _poolOfService(msg.sender);
        require(!_punished[msg.sender][faultId], FaultAlreadyPunished(msg.sender, faultId));
        _punished[msg.sender][faultId] = true;
        slashedWei = _slashPool(operator, amountWei, faultId);
        _distribute(slashedWei, beneficiaries, bps);
    }

    /// @inheritdoc IStaking
    function addReward(address operator, Pool pool) external payable {
        PoolState storage state = _pools[operator][pool];
        require(msg.value != 0, ZeroAmount());
        require(state.shares != 0, PoolEmpty(operator, pool));

        // The whole self pool is the operator's own: a commission on it would be one on himself.
        uint256 commissionWei = pool == Pool.Self ? 0 : Math.mulDiv(msg.value, _commissions[operator].bps, BPS);
        _accountedWei += msg.value;
        state.tokensWei += (msg.value - commissionWei).toUint128();
        _snapshotExits(operator, pool);
        _credit(operator, commissionWei);
        emit RewardAdded(operator, pool, msg.value, commissionWei);
    }

    /// @inheritdoc IStaking
    function setCommission(uint256 bps) external onlyOperator(msg.sender) {
        require(bps <= BPS, CommissionTooHigh(bps));
        Commission storage commission = _commissions[msg.sender];
        uint64 nextEpoch = _nextEpoch();
        // Epochs are stored plus one, so that the first change, even in epoch 0, sets the base too.
        if (commission.epoch != nextEpoch + 1) {
            commission.epoch = nextEpoch + 1;
            commission.baseBps = commission.bps;
        }
        uint256 fromBps = commission.baseBps;
        uint256 stepBps = bps > fromBps ? bps - fromBps : fromBps - bps;
        require(stepBps <= _maxCommissionStepBps, CommissionStepTooLarge(fromBps, bps, _maxCommissionStepBps));

        commission.bps = uint16(bps);
        emit CommissionSet(msg.sender, bps);
    }

    /// @inheritdoc IStaking
    function sharesOf(address operator, Pool pool, address owner_) external view returns (uint256) {
        return _shares[operator][pool][_pools[operator][pool].generation][owner_];
    }

    /// @inheritdoc IStaking
    function worth(address operator, Pool pool, uint256 shares) external view returns (uint256) {
        PoolState storage state = _pools[operator][pool];
        return ShareLib.toWeiDown(shares, state.tokensWei, state.shares);
    }

    /// @inheritdoc IStaking
    function exitOf(uint256 exitId) external view returns (Exit memory) {
        return _exits[exitId];
    }

    /// @inheritdoc IStaking
    function exitCount() external view returns (uint256) {
        return _exitCount;
    }

    /// @inheritdoc IStaking
    function claimable(address account) external view returns (uint256) {
        return _claimable[account];
    }

    /// @inheritdoc IStaking
    function burnableWei() external view returns (uint256) {
        return _burnableWei;
    }

    /// @inheritdoc IStaking
    function accountedWei() external view returns (uint256) {
        return _accountedWei;
    }

    /// @inheritdoc IStaking
    function commissionOf(address operator) external view returns (uint256) {
        return _commissions[operator].bps;
    }

    /// @inheritdoc IStaking
    function isPunished(address service, bytes32 faultId) external view returns (bool) {
        return _punished[service][faultId];
    }

    /// @inheritdoc IStaking
    function treasury() external view returns (address) {
        return _treasury;
    }

    /// @inheritdoc IStaking
    function maxCommissionStepBps() external view returns (uint256) {
        return _maxCommissionStepBps;
    }

    /// @notice Ownership can be passed on, in two steps, but not given up.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    function _deposit(address operator, Pool pool) private onlyOperator(operator) returns (uint256 shares) {
        require(msg.value != 0, ZeroAmount());
        PoolState storage state = _pools[operator][pool];
        shares = ShareLib.toSharesDown(msg.value, state.tokensWei, state.shares);
        require(shares != 0, ZeroShares(msg.value));

        _accountedWei += msg.value;
        state.tokensWei += msg.value.toUint128();
        state.shares += shares;
        _shares[operator][pool][state.generation][msg.sender] += shares;
        _snapshotExits(operator, pool);
        emit Deposited(operator, pool, msg.sender, msg.value, shares);
    }

    /// @dev Slashes the operator's allocation to the caller, a registered service.
    function _slashPool(address operator, uint256 amountWei, bytes32 faultId) private returns (uint256 slashedWei) {
        Pool pool = _services[msg.sender].pool;
        PoolState storage state = _pools[operator][pool];
        slashedWei = Math.min(amountWei, _allocations[operator][msg.sender].allocatedWei);
        bool exitsCount = _exitsCount(operator, pool);
        uint256 allocatedWei = _reduce(operator, msg.sender, slashedWei);
        state.allocatedWei -= uint128(slashedWei);
        state.tokensWei -= uint128(slashedWei);
        emit Slashed(operator, msg.sender, faultId, amountWei, slashedWei, allocatedWei);
        if (slashedWei != 0 && ShareLib.isWiped(state.tokensWei, state.shares)) {
            state.shares = 0;
            state.exitingShares = 0;
            state.generation += 1;
            emit PoolWiped(operator, pool, state.generation);
        }
        if (exitsCount) _snapshotPool(operator, pool);
        else _push(operator, pool, msg.sender);
    }

    /// @dev Credits what a slash took: at most half to the beneficiaries, the rest to the treasury or the burn.
    function _distribute(uint256 slashedWei, address[] calldata beneficiaries, uint256[] calldata bps) private {
        uint256 count = beneficiaries.length;
        require(count <= MAX_BENEFICIARIES, TooManyBeneficiaries(count, MAX_BENEFICIARIES));
        require(count == bps.length, LengthMismatch(count, bps.length));
        uint256 sumBps = 0;
        uint256 restWei = slashedWei;
        for (uint256 i = 0; i < count; i++) {
            require(beneficiaries[i] != address(0), ZeroAddress());
            require(bps[i] <= MAX_BENEFICIARY_BPS, HalfRule(bps[i], MAX_BENEFICIARY_BPS));
            sumBps += bps[i];
            require(sumBps <= MAX_BENEFICIARY_BPS, HalfRule(sumBps, MAX_BENEFICIARY_BPS));
            uint256 partWei = Math.mulDiv(slashedWei, bps[i], BPS);
            restWei -= partWei;
            _credit(beneficiaries[i], partWei);
        }
        if (_treasury == address(0)) _burnableWei += restWei;
        else _credit(_treasury, restWei);
    }

    function _credit(address account, uint256 amountWei) private {
        if (amountWei == 0) return;
        _claimable[account] += amountWei;
        emit Credited(account, amountWei);
    }

    function _send(address to, uint256 amountWei) private {
        (bool ok,) = to.call{value: amountWei}("");
        require(ok, TransferFailed(to, amountWei));
    }
}
