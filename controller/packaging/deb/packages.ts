import type { PackageDescription } from './contract.ts';
import { agentPackage } from './packages/agent.ts';
import { cliPackage } from './packages/cli.ts';
import { controllerPackage } from './packages/controller.ts';

export const PACKAGES: readonly PackageDescription[] = [agentPackage, controllerPackage, cliPackage];
