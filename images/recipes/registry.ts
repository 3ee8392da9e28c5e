import { WeftError } from '../../agent/kit/errors.ts';
import type { Recipe } from './contract.ts';
import { debian } from './debian/recipe.ts';
import { tiny, tinyFull } from './tiny/recipe.ts';

export const RECIPES: readonly Recipe[] = [tiny, tinyFull, debian];

/** @throws WeftError `not-found` with the names there are. */
export function recipeNamed(name: string, recipes: readonly Recipe[] = RECIPES): Recipe {
  const recipe = recipes.find((candidate) => candidate.name === name);
  if (recipe !== undefined) return recipe;
  throw new WeftError('not-found', `there is no recipe ${JSON.stringify(name)}`, {
    remedy: `Use one of: ${recipes.map((candidate) => candidate.name).join(', ')}.`,
  });
}
