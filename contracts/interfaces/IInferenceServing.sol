// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {IInferenceCatalog} from "./IInferenceCatalog.sol";
import {IInferenceSettlement} from "./IInferenceSettlement.sol";

/// @title IInferenceServing
/// @notice Services, sub-accounts and settlement of inference: a superset of the ABI that public compute clients know.
/// @dev Two billing modes per user and provider. Voucher mode, once the provider has posted a voucher: settlements
/// never pass the ceiling the user signed, and are the provider's at once. Open mode before that: at most the daily
/// cap, and the fee is held while the user may demand its receipts.
/// @dev Warning: in open mode a provider can bill requests that were never made, up to the daily cap: receipts prove
/// prices, sums and nonces, not that somebody asked. A user who must not lose that much uses vouchers.
/// @dev Warning: demanding costs the user a transaction and the provider a larger one; a provider stops serving those
/// who demand without cause.
interface IInferenceServing is IInferenceCatalog, IInferenceSettlement {}
